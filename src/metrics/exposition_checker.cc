#include "metrics/exposition_checker.h"

#include <charconv>
#include <limits>
#include <regex>
#include <set>

namespace lazaret::metrics {
namespace {

class Checker {
 public:
  Exposition Read(std::string_view page) {
    if (!page.ends_with('\n')) Complain("no newline at the end");
    while (!page.empty()) {
      const std::size_t end = std::min(page.find('\n'), page.size());
      Line(std::string(page.substr(0, end)));
      page.remove_prefix(std::min(end + 1, page.size()));
    }
    EndFamily();
    return std::move(out_);
  }

 private:
  struct Bucket {
    double bound;
    double count;
  };
  struct HistogramSeries {
    std::vector<Bucket> buckets;
    double count = -1;
    bool has_sum = false;
  };

  void Complain(const std::string& what) { out_.problems.push_back(what); }

  void Line(const std::string& line) {
    static const std::regex help(R"(# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) ((?:[^\\]|\\\\|\\n)*))");
    static const std::regex type(R"(# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped))");
    static const std::regex sample(R"(([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+))");
    std::smatch m;
    if (std::regex_match(line, m, help)) {
      EndFamily();
      family_ = m[1];
      if (!families_.insert(family_).second) Complain("a family in two places: " + line);
    } else if (std::regex_match(line, m, type)) {
      if (m[1] != family_ || out_.types.contains(family_)) Complain("TYPE is not after HELP: " + line);
      out_.types[family_] = m[2];
      if (m[2] == "counter" && !family_.ends_with("_total")) Complain("a counter without _total: " + line);
    } else if (std::regex_match(line, m, sample)) {
      Sample(line, m[1], m[2], m[3]);
    } else {
      Complain("not a line of the format: " + line);
    }
  }

  void Sample(const std::string& line, const std::string& name, const std::string& labels, const std::string& number) {
    double value = 0;
    if (number == "+Inf") {
      value = std::numeric_limits<double>::infinity();
    } else {
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
      if (error != std::errc() || end != number.data() + number.size()) Complain("not a number: " + line);
    }
    if (!out_.series.emplace(name + labels, value).second) Complain("a series twice: " + line);
    const auto pairs = ReadLabels(line, labels);
    if (out_.types[family_] == "histogram") return HistogramSample(line, name, pairs, value);
    if (name != family_) Complain("a sample outside its family: " + line);
  }

  std::map<std::string, std::string> ReadLabels(const std::string& line, const std::string& labels) {
    static const std::regex pair(R"re(([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\\\|\\"|\\n)*)"(,|$))re");
    std::map<std::string, std::string> pairs;
    if (labels.empty()) return pairs;
    std::string rest = labels.substr(1, labels.size() - 2);
    std::smatch m;
    while (!rest.empty() && std::regex_search(rest, m, pair, std::regex_constants::match_continuous)) {
      if (!pairs.emplace(m[1], m[2]).second) Complain("a label twice: " + line);
      rest = m.suffix();
    }
    if (!rest.empty()) Complain("not labels: " + line);
    return pairs;
  }

  void HistogramSample(const std::string& line, const std::string& name, std::map<std::string, std::string> pairs,
                       double value) {
    const auto le = pairs.extract("le");
    HistogramSeries& series = histograms_[pairs];
    if (name == family_ + "_bucket" && le) {
      const double bound = le.mapped() == "+Inf" ? std::numeric_limits<double>::infinity() : std::stod(le.mapped());
      series.buckets.push_back({bound, value});
    } else if (name == family_ + "_count" && !le) {
      series.count = value;
    } else if (name == family_ + "_sum" && !le) {
      series.has_sum = true;
    } else {
      Complain("not of a histogram: " + line);
    }
  }

  void EndFamily() {
    if (!family_.empty() && !out_.types.contains(family_)) Complain("no TYPE for " + family_);
    for (const auto& [labels, series] : histograms_) {
      for (std::size_t i = 1; i < series.buckets.size(); ++i) {
        if (series.buckets[i].bound <= series.buckets[i - 1].bound) Complain("bounds do not grow: " + family_);
        if (series.buckets[i].count < series.buckets[i - 1].count) Complain("counts shrink: " + family_);
      }
      const bool complete = !series.buckets.empty() && series.has_sum &&
                            series.buckets.back().bound == std::numeric_limits<double>::infinity() &&
                            series.buckets.back().count == series.count;
      if (!complete) Complain("an incomplete histogram: " + family_);
    }
    histograms_.clear();
  }

  Exposition out_;
  std::string family_;
  std::set<std::string> families_;
  std::map<std::map<std::string, std::string>, HistogramSeries> histograms_;
};

}  // namespace

Exposition ReadExposition(std::string_view page) { return Checker().Read(page); }

}  // namespace lazaret::metrics
