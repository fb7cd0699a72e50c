// C linkage and the names of the C library are forced by interposition, and so is the state behind them
// (io_failures.h). The functions are declared here through assembler names: the C library's headers would replace some
// by macros.
#include <fcntl.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>

#include "scanner/interposition.h"
#include "scanner/io_failures.h"

struct __dirstream;

namespace lazaret::scanner {
namespace {

bool watching = false;
std::optional<IoFailure> first_failure;

void Note(const char* call, bool reading) {
  if (!watching || first_failure || errno == EINTR || errno == EAGAIN) return;
  first_failure = IoFailure{call, errno, reading};
}

template <class T>
T NoteCreate(const char* call, T result, T failed) {
  if (result == failed) Note(call, false);
  return result;
}

template <class T>
T NoteRead(const char* call, T result) {
  if (result < 0) Note(call, true);
  return result;
}

// Opening for reading fails in ordinary life too: a library looks for a configuration file that is not there or that
// the sandbox hides. Without room to open what was just extracted, though, content is lost.
bool LosesContent(int error) { return error == EMFILE || error == ENFILE || error == ENOMEM || error == EIO; }

int NoteOpen(const char* call, int flags, int fd) {
  if (fd >= 0) return fd;
  const bool writes = (flags & (O_CREAT | O_WRONLY | O_RDWR)) != 0;
  if (writes || LosesContent(errno)) Note(call, false);
  return fd;
}

FILE* NoteFopen(const char* mode, FILE* file) {
  if (file == nullptr && (mode[0] != 'r' || LosesContent(errno))) Note("fopen", false);
  return file;
}

constinit Real<int(const char*, mode_t)> real_mkdir("mkdir");
constinit Real<int(const char*, int, mode_t)> real_open("open");
constinit Real<int(const char*, int, mode_t)> real_open64("open64");
constinit Real<int(int, const char*, int, mode_t)> real_openat("openat");
constinit Real<int(int, const char*, int, mode_t)> real_openat64("openat64");
constinit Real<int(const char*, mode_t)> real_creat("creat");
constinit Real<int(const char*, mode_t)> real_creat64("creat64");
constinit Real<FILE*(const char*, const char*)> real_fopen("fopen");
constinit Real<FILE*(const char*, const char*)> real_fopen64("fopen64");
constinit Real<FILE*(int, const char*)> real_fdopen("fdopen");
constinit Real<__dirstream*(const char*)> real_opendir("opendir");
constinit Real<int(int)> real_dup("dup");
constinit Real<ssize_t(int, const void*, size_t)> real_write("write");
constinit Real<ssize_t(int, const iovec*, int)> real_writev("writev");
constinit Real<ssize_t(int, const void*, size_t, off_t)> real_pwrite("pwrite");
constinit Real<ssize_t(int, const void*, size_t, off64_t)> real_pwrite64("pwrite64");
constinit Real<size_t(const void*, size_t, size_t, FILE*)> real_fwrite("fwrite");
constinit Real<int(const char*, FILE*)> real_fputs("fputs");
constinit Real<int(int, FILE*)> real_fputc("fputc");
constinit Real<int(int, FILE*)> real_putc("putc");
constinit Real<int(FILE*, int, const char*, va_list)> real_vfprintf_chk("__vfprintf_chk");
constinit Real<int(FILE*)> real_fflush("fflush");
constinit Real<int(FILE*)> real_fclose("fclose");
constinit Real<int(int, off_t)> real_ftruncate("ftruncate");
constinit Real<int(int, off64_t)> real_ftruncate64("ftruncate64");
constinit Real<ssize_t(int, void*, size_t)> real_read("read");
constinit Real<ssize_t(int, void*, size_t, off_t)> real_pread("pread");
constinit Real<ssize_t(int, void*, size_t, off64_t)> real_pread64("pread64");

template <class... Calls>
bool ResolveAll(Calls&... calls) {
  return (calls.Resolve() && ...);
}

mode_t ModeArgument(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}

}  // namespace

void StartWatchingIo() {
  first_failure.reset();
  watching = true;
}

std::optional<IoFailure> StopWatchingIo() {
  watching = false;
  return first_failure;
}

bool ResolveRealCalls() {
  return ResolveAll(real_mkdir, real_open, real_open64, real_openat, real_openat64, real_creat, real_creat64,
                    real_fopen, real_fopen64, real_fdopen, real_opendir, real_dup, real_write, real_writev, real_pwrite,
                    real_pwrite64, real_fwrite, real_fputs, real_fputc, real_putc, real_vfprintf_chk, real_fflush,
                    real_fclose, real_ftruncate, real_ftruncate64, real_read, real_pread, real_pread64);
}

extern "C" {

int LazaretMkdir(const char* path, mode_t mode) LAZARET_INTERPOSE("mkdir");
int LazaretMkdir(const char* path, mode_t mode) {
  const int result = real_mkdir(path, mode);
  // Some parsers make a directory again and again; names that must be new are random.
  if (result != 0 && errno != EEXIST) Note("mkdir", false);
  return result;
}

int LazaretOpen(const char* path, int flags, ...) LAZARET_INTERPOSE("open");
int LazaretOpen(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = ModeArgument(flags, rest);
  va_end(rest);
  return NoteOpen("open", flags, real_open(path, flags, mode));
}

int LazaretOpen64(const char* path, int flags, ...) LAZARET_INTERPOSE("open64");
int LazaretOpen64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = ModeArgument(flags, rest);
  va_end(rest);
  return NoteOpen("open", flags, real_open64(path, flags, mode));
}

int LazaretOpenat(int directory, const char* path, int flags, ...) LAZARET_INTERPOSE("openat");
int LazaretOpenat(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = ModeArgument(flags, rest);
  va_end(rest);
  return NoteOpen("openat", flags, real_openat(directory, path, flags, mode));
}

int LazaretOpenat64(int directory, const char* path, int flags, ...) LAZARET_INTERPOSE("openat64");
int LazaretOpenat64(int directory, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = ModeArgument(flags, rest);
  va_end(rest);
  return NoteOpen("openat", flags, real_openat64(directory, path, flags, mode));
}

int LazaretCreat(const char* path, mode_t mode) LAZARET_INTERPOSE("creat");
int LazaretCreat(const char* path, mode_t mode) { return NoteCreate("creat", real_creat(path, mode), -1); }

int LazaretCreat64(const char* path, mode_t mode) LAZARET_INTERPOSE("creat64");
int LazaretCreat64(const char* path, mode_t mode) { return NoteCreate("creat", real_creat64(path, mode), -1); }

FILE* LazaretFopen(const char* path, const char* mode) LAZARET_INTERPOSE("fopen");
FILE* LazaretFopen(const char* path, const char* mode) { return NoteFopen(mode, real_fopen(path, mode)); }

FILE* LazaretFopen64(const char* path, const char* mode) LAZARET_INTERPOSE("fopen64");
FILE* LazaretFopen64(const char* path, const char* mode) { return NoteFopen(mode, real_fopen64(path, mode)); }

FILE* LazaretFdopen(int fd, const char* mode) LAZARET_INTERPOSE("fdopen");
FILE* LazaretFdopen(int fd, const char* mode) { return NoteCreate<FILE*>("fdopen", real_fdopen(fd, mode), nullptr); }

__dirstream* LazaretOpendir(const char* path) LAZARET_INTERPOSE("opendir");
__dirstream* LazaretOpendir(const char* path) {
  __dirstream* directory = real_opendir(path);
  if (directory == nullptr && LosesContent(errno)) Note("opendir", false);
  return directory;
}

int LazaretDup(int fd) LAZARET_INTERPOSE("dup");
int LazaretDup(int fd) { return NoteCreate("dup", real_dup(fd), -1); }

ssize_t LazaretWrite(int fd, const void* data, size_t size) LAZARET_INTERPOSE("write");
ssize_t LazaretWrite(int fd, const void* data, size_t size) {
  return NoteCreate<ssize_t>("write", real_write(fd, data, size), -1);
}

ssize_t LazaretWritev(int fd, const iovec* parts, int count) LAZARET_INTERPOSE("writev");
ssize_t LazaretWritev(int fd, const iovec* parts, int count) {
  return NoteCreate<ssize_t>("writev", real_writev(fd, parts, count), -1);
}

ssize_t LazaretPwrite(int fd, const void* data, size_t size, off_t at) LAZARET_INTERPOSE("pwrite");
ssize_t LazaretPwrite(int fd, const void* data, size_t size, off_t at) {
  return NoteCreate<ssize_t>("pwrite", real_pwrite(fd, data, size, at), -1);
}

ssize_t LazaretPwrite64(int fd, const void* data, size_t size, off64_t at) LAZARET_INTERPOSE("pwrite64");
ssize_t LazaretPwrite64(int fd, const void* data, size_t size, off64_t at) {
  return NoteCreate<ssize_t>("pwrite", real_pwrite64(fd, data, size, at), -1);
}

size_t LazaretFwrite(const void* data, size_t size, size_t count, FILE* file) LAZARET_INTERPOSE("fwrite");
size_t LazaretFwrite(const void* data, size_t size, size_t count, FILE* file) {
  const size_t written = real_fwrite(data, size, count, file);
  if (written < count && size != 0) Note("fwrite", false);
  return written;
}

int LazaretFputs(const char* text, FILE* file) LAZARET_INTERPOSE("fputs");
int LazaretFputs(const char* text, FILE* file) { return NoteCreate("fputs", real_fputs(text, file), EOF); }

int LazaretFputc(int c, FILE* file) LAZARET_INTERPOSE("fputc");
int LazaretFputc(int c, FILE* file) { return NoteCreate("fputc", real_fputc(c, file), EOF); }

int LazaretPutc(int c, FILE* file) LAZARET_INTERPOSE("putc");
int LazaretPutc(int c, FILE* file) { return NoteCreate("putc", real_putc(c, file), EOF); }

int LazaretFprintfChk(FILE* file, int flag, const char* format, ...) LAZARET_INTERPOSE("__fprintf_chk");
int LazaretFprintfChk(FILE* file, int flag, const char* format, ...) {
  va_list rest;
  va_start(rest, format);
  const int result = real_vfprintf_chk(file, flag, format, rest);
  va_end(rest);
  if (result < 0) Note("fprintf", false);
  return result;
}

int LazaretFflush(FILE* file) LAZARET_INTERPOSE("fflush");
int LazaretFflush(FILE* file) { return NoteCreate("fflush", real_fflush(file), EOF); }

int LazaretFclose(FILE* file) LAZARET_INTERPOSE("fclose");
int LazaretFclose(FILE* file) { return NoteCreate("fclose", real_fclose(file), EOF); }

int LazaretFtruncate(int fd, off_t size) LAZARET_INTERPOSE("ftruncate");
int LazaretFtruncate(int fd, off_t size) { return NoteCreate("ftruncate", real_ftruncate(fd, size), -1); }

int LazaretFtruncate64(int fd, off64_t size) LAZARET_INTERPOSE("ftruncate64");
int LazaretFtruncate64(int fd, off64_t size) { return NoteCreate("ftruncate", real_ftruncate64(fd, size), -1); }

ssize_t LazaretRead(int fd, void* data, size_t size) LAZARET_INTERPOSE("read");
ssize_t LazaretRead(int fd, void* data, size_t size) { return NoteRead("read", real_read(fd, data, size)); }

ssize_t LazaretPread(int fd, void* data, size_t size, off_t at) LAZARET_INTERPOSE("pread");
ssize_t LazaretPread(int fd, void* data, size_t size, off_t at) {
  return NoteRead("pread", real_pread(fd, data, size, at));
}

ssize_t LazaretPread64(int fd, void* data, size_t size, off64_t at) LAZARET_INTERPOSE("pread64");
ssize_t LazaretPread64(int fd, void* data, size_t size, off64_t at) {
  return NoteRead("pread", real_pread64(fd, data, size, at));
}

}  // extern "C"

}  // namespace lazaret::scanner
