#pragma once

#include <optional>
#include <string_view>

#include "scanner/layer_check.h"

namespace lazaret::scanner {

// Encrypted documents and messages that libclamav 1.4 calls clean: as a whole in a compound file ([MS-OFFCRYPTO]
// 2.3.4), Word ([MS-DOC] 2.5.2, fEncrypted) and Excel ([MS-XLS] 2.4.117, FilePass) 97-2003, OpenDocument (part
// 2, 4.8.3), S/MIME (RFC 8551 3.3) as a mail and as a file. Looks only at layers of the types that matter; nothing is
// unpacked.
std::optional<Incomplete> CheckEncryption(const Layer& layer);

}  // namespace lazaret::scanner
