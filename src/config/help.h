#pragma once

#include <string_view>

// What `lazaret ... --help` prints, but for the settings, which describe themselves.
namespace lazaret::config {

extern const std::string_view kHelp;
extern const std::string_view kServeHelp;
extern const std::string_view kCheckHelp;
extern const std::string_view kConfigHelp;
extern const std::string_view kSampleHelp;
extern const std::string_view kVersionHelp;
extern const std::string_view kJobsHelp;
extern const std::string_view kOverrideHelp;
extern const std::string_view kSignaturesHelp;

}  // namespace lazaret::config
