"""Bytes that look like those in real signatures: beginnings as found in programs and documents, ends that nothing has.

What the matcher costs is decided by the first bytes of its patterns (which it meets in files all the time) and by how
many patterns share them; what makes a pattern harmless is its random end.
"""

import random

# x86 instructions as compilers emit them; a dot is a nibble that varies.
INSTRUCTIONS = [
    text.replace(" ", "")
    for text in (
        "55 8bec", "55 8bec 83ec..", "55 8bec 81ec....0000", "55 4889e5", "53 56 57", "5f 5e 5b", "5d c3", "c9 c3",
        "c3 cccccc", "c2 ..00", "8bff 55", "6a..", "6a00 6a..", "68 ........", "68 ....4000", "50", "51", "52",
        "e8 ........", "e8 ....ffff", "e9 ........", "ff15 ....4000", "ff15 ........", "ff25 ....4000", "ffd.", "ff75..",
        "eb..", "74..", "75..", "7c..", "0f84 ....0000", "0f85 ....0000", "0f8. ....0000", "85c0 74..", "85c0 75..",
        "85..", "3bc.", "3b45..", "39..", "83f8..", "83f8ff 74..", "3d ........", "a8..", "f6..", "33c0", "33c9", "33d2",
        "33db", "31c.", "8b45..", "8b4d..", "8b55..", "8b75..", "8945..", "894d..", "8955..", "8b..24..", "8944 24..",
        "c745.. ........", "c74424.. ........", "c705 ........ ........", "8d45..", "8d4d..", "8d85 ....ffff",
        "8d..24..", "8b0d ........", "8b15 ........", "a1 ........", "a3 ........", "8b00", "8b08", "8b....", "89....",
        "b8 ........", "b9 ........", "ba ........", "be ........", "bf ........", "83c4..", "83ec..", "83c0..",
        "83e8..", "03c.", "2bc.", "0fb6..", "0fb645..", "0fbe..", "0fb7..", "c1e0..", "c1e8..", "d1e.", "f7d.", "99 f7..",
        "0faf..", "25 ff000000", "80....", "88....", "8a....", "f3a5", "f3ab", "f2ae", "64a1 ..000000", "648b.. ......00",
        "90", "9090", "4883ec..", "488b....", "4889....", "488d0d ........", "488d15 ........", "4c8b....", "4889 5c24..",
        "4533..", "41b. ........", "0f1f....", "660f6f..", "f20f10..", "f30f6f..", "c5f.....", "40....", "44....",
    )
]

# Words of programs that do harm, of programs in general, of markup and of scripts.
WORDS = """
LoadLibraryA GetProcAddress GetModuleHandleW VirtualAllocEx VirtualProtect WriteProcessMemory ReadProcessMemory
CreateRemoteThread NtUnmapViewOfSection QueueUserAPC OpenProcess TerminateProcess CreateToolhelp32Snapshot Process32NextW
CreateFileW WriteFile DeleteFileA MoveFileExW FindFirstFileW GetTempPathW GetSystemDirectoryA CopyFileA SetFileAttributesW
RegCreateKeyExA RegSetValueExW RegQueryValueExA RegDeleteValueW OpenSCManagerA CreateServiceW StartServiceA
InternetOpenA InternetConnectW HttpSendRequestA HttpOpenRequestW URLDownloadToFileW WSAStartup gethostbyname getaddrinfo
connect recvfrom sendto select listen accept CryptDecrypt CryptImportKey CryptGenRandom BCryptEncrypt IsDebuggerPresent
CheckRemoteDebuggerPresent OutputDebugStringA GetTickCount QueryPerformanceCounter Sleep CreateMutexW SetWindowsHookExW
GetForegroundWindow GetKeyState keybd_event GetClipboardData BitBlt GetDesktopWindow FindWindowA PostMessageW
kernel32.dll KERNELBASE ntdll.dll advapi32.dll user32.dll gdi32.dll wininet.dll winhttp.dll ws2_32.dll crypt32.dll
msvbvm60.dll mscoree.dll oleaut32.dll shlwapi.dll urlmon.dll psapi.dll Software\\Microsoft\\Windows\\CurrentVersion\\Run
SYSTEM\\CurrentControlSet\\Services Policies\\Explorer Winlogon\\Shell AppData\\Roaming %TEMP% %SystemRoot% ProgramData
User-Agent: Mozilla/5.0 Windows NT 10.0 Content-Disposition form-data boundary Accept-Language Host: Connection: Keep-Alive
application/x-www-form-urlencoded multipart http:// https:// ftp:// .php?id= /gate.php /index.html .onion bitcoin wallet
decrypt your files readme.txt ransom payment private key recover encrypted extension locked powershell.exe -nop -w hidden
-EncodedCommand cmd.exe /c start vssadmin delete shadows bcdedit schtasks /create net user add localgroup administrators
rundll32.exe regsvr32.exe mshta.exe wscript.exe cscript.exe svchost.exe explorer.exe lsass.exe winlogon.exe taskmgr
System.Reflection.Assembly System.IO.MemoryStream System.Net.Sockets System.Security.Cryptography RijndaelManaged
FromBase64String GetManifestResourceStream EntryPoint Invoke DownloadData mscorlib #GUID #Blob #US _CorExeMain get_Resources
AutoOpen Workbook_Open Document_Close CreateObject WScript.Shell MSXML2.XMLHTTP ADODB.Stream Shell.Application ExecuteGlobal
VBA_PROJECT ThisDocument Module1 Attribute VB_Name Chr( Mid( Replace( StrReverse( Environ( GetObject( winmgmts
eval( unescape( String.fromCharCode document.write( window.location iframe width=0 height=0 onload= script src=
charCodeAt parseInt setTimeout XMLHttpRequest ActiveXObject atob( decodeURIComponent innerHTML appendChild createElement
href= style= display:none meta http-equiv refresh form action= method=post input type=password name=login value= submit
base64_decode( gzinflate( str_rot13( preg_replace( assert( $_POST $_GET $_COOKIE $_SERVER passthru( shell_exec( system(
/bin/sh /bin/bash /bin/busybox /tmp/. /dev/shm /etc/passwd /etc/cron.d /proc/net/tcp /proc/self/maps wget curl tftp chmod
LD_PRELOAD iptables -F nohup crontab -l ssh-rsa authorized_keys stratum+tcp xmrig cpuminer donate-level pool.minexmr
java/lang/Runtime javax/crypto/Cipher getClassLoader loadClass defineClass android/telephony/SmsManager sendTextMessage
account password username address number version config server client install update service memory string buffer thread
socket window class module error file name path data size type time user info list read write open close start stop
""".split()

SEPARATORS = [" ", " ", "\0", "\0", ".", ",", ";", ":", "=", "/", "\\", "\"", "'", "(", ")", "_", "-", "\r\n", "\n", "\t", "", "", ""]


def _next_letters():
    table = {}
    for word in WORDS:
        for here, there in zip(word, word[1:]):
            table.setdefault(here, []).append(there)
    return table


_NEXT = _next_letters()
_FIRST = [letter for word in WORDS for letter in word]
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


class Material:
    """A source of bytes that depends on its random generator only."""

    def __init__(self, generator: random.Random):
        self._random = generator

    def code(self, size: int) -> bytes:
        """Machine code; every second piece starts inside an instruction, as compilers' output is cut anywhere."""
        rng = self._random
        skip = rng.randrange(1, 4) if rng.random() < 0.5 else 0
        made = bytearray()
        while len(made) < size + skip:
            text = rng.choice(INSTRUCTIONS)
            if "." in text:
                text = "".join("%x" % rng.getrandbits(4) if digit == "." else digit for digit in text)
            made += bytes.fromhex(text)
        return bytes(made[skip : size + skip])

    def _word(self) -> str:
        """A word, or one that does not exist but could: few pieces of text may begin alike."""
        rng = self._random
        if rng.random() < 0.3:
            return rng.choice(WORDS)
        word = rng.choice(_FIRST)
        for _ in range(rng.randint(2, 10)):
            follows = _NEXT.get(word[-1])
            word += rng.choice(follows) if follows and rng.random() > 0.08 else rng.choice(_LETTERS)
        return word

    def text(self, size: int) -> bytes:
        rng = self._random
        skip = rng.randrange(8) if rng.random() < 0.8 else 0
        made = ""
        while len(made) < size + skip:
            made += self._word() + rng.choice(SEPARATORS)
        return made[skip : size + skip].encode("latin-1")

    def nonce(self, size: int) -> bytes:
        """Letters and digits that occur nowhere: eight of them are enough."""
        return "".join(self._random.choices(_LETTERS, k=size)).encode()

    def raw(self, size: int) -> bytes:
        return self._random.randbytes(size)
