#include "clamav/signature_check.h"

#include <utility>

#include "clamav/signature_files.h"

namespace lazaret::clamav {

aio::Task<Result<SignatureCheck>> CheckSignatures(std::filesystem::path directory, LoaderSettings loader,
                                                  ComparisonSettings comparison, std::optional<SetMeasure> current,
                                                  ScannerParts parts, aio::BlockingPool& disk) {
  const auto files = co_await disk.Run([&] { return DigestFiles(directory); });
  if (!files) co_return std::unexpected(files.error());
  if (files->files == 0) co_return Fail(Errc::kNotFound, "there are no signatures in " + directory.native());
  SignatureCheck check{
      .digest = files->digest, .files = files->files, .bytes = files->bytes, .refusal = {}, .engine = nullptr};
  SignatureLoader once(std::move(loader), parts, disk);
  const SignatureSnapshot in_place{directory, files->digest, files->files, files->bytes, false};
  const auto loaded = co_await once.Load(in_place, LoadPriority::kLow, [](LoadPhase) {});
  if (!loaded) {
    check.refusal = loaded.error();
    co_return check;
  }
  check.refusal = FindFault(*loaded, current, comparison);
  check.engine = loaded->engine;
  check.load_ms = loaded->load_ms;
  check.finds_eicar = loaded->probe.finds_eicar;
  check.load_errors = loaded->load_errors;
  check.warnings = loaded->load_warnings;
  check.warnings.insert(check.warnings.end(), loaded->probe.warnings.begin(), loaded->probe.warnings.end());
  co_await loaded->generation->End();
  co_return check;
}

}  // namespace lazaret::clamav
