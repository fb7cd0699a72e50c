#include "http/response.h"

#include <fmt/format.h>

namespace lazaret::http {

std::string_view ReasonPhrase(int status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Status";
  }
}

std::string Serialize(const Response& response, std::string_view date, std::string_view connection, bool head_only) {
  std::string out;
  AppendTo(out, response, date, connection, head_only);
  return out;
}

void AppendTo(std::string& out, const Response& response, std::string_view date, std::string_view connection,
              bool head_only) {
  // Appended piece by piece: this is written for every answer, and a format string costs several times as much.
  out.reserve(out.size() + 256 + response.body.size());
  const auto append = [&out](auto... pieces) { (out.append(pieces), ...); };
  append("HTTP/1.1 ", fmt::format_int(response.status).c_str(), " ", ReasonPhrase(response.status));
  append("\r\nServer: lazaret\r\nDate: ", date, "\r\nContent-Type: ", response.content_type);
  append("\r\nContent-Length: ", fmt::format_int(response.body.size()).c_str());
  append("\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n");
  for (const auto& [name, value] : response.headers) append(name, ": ", std::string_view(value), "\r\n");
  if (!connection.empty()) append("Connection: ", connection, "\r\n");
  out += "\r\n";
  if (!head_only) out += response.body;
}

}  // namespace lazaret::http
