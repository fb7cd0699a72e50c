#include "scanner/oom_score.h"

#include <fcntl.h>
#include <unistd.h>

namespace lazaret::scanner {

OomScore OomScore::OfThisProcess() {
  OomScore made;
  made.file_.Reset(::open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC));
  char usual[16];
  const ssize_t length = made.file_ ? ::pread(made.file_.Get(), usual, sizeof usual, 0) : -1;
  if (length <= 0) return {};
  made.usual_.assign(usual, static_cast<std::size_t>(length));
  return made;
}

void OomScore::Write(const std::string& value) const {
  if (file_) (void)!::pwrite(file_.Get(), value.data(), value.size(), 0);
}

}  // namespace lazaret::scanner
