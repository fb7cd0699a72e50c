#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace lazaret::wire {

inline constexpr std::size_t kMaxQueryParameters = 32;

// The parameters of a query string, "on_infected=403&wait=5", percent-decoded ("+" is a space). Names and values may
// hold any bytes. Immutable.
class Query {
 public:
  struct Parameter {
    std::string name;
    std::string value;  // empty as well when there is no "="
    friend bool operator==(const Parameter&, const Parameter&) = default;
  };

  // `raw` comes without its "?". Empty pieces, as in "a=1&&b=2", are skipped. kMalformed for broken percent-encoding,
  // kTooLarge for more than kMaxQueryParameters.
  static Result<Query> Parse(std::string_view raw);

  // Empty when the parameter is absent. kMalformed when it is given twice, because proxies and servers disagree on
  // which of the two counts; what nobody looks up may be given any number of times.
  Result<std::optional<std::string_view>> Find(std::string_view name) const;

  const std::vector<Parameter>& parameters() const { return parameters_; }  // in the order sent

 private:
  std::vector<Parameter> parameters_;
};

}  // namespace lazaret::wire
