#include <curl/curl.h>
#include <opentelemetry/proto/collector/trace/v1/trace_service.pb.h>

#include <atomic>
#include <format>
#include <utility>

#include "core/owned.h"
#include "telemetry/otlp_transport.h"

namespace penstock::telemetry {
namespace {

// A collector's answer is a few bytes; more than this is not one.
constexpr std::size_t kMaxResponseBytes = 64 * 1024;

// A transfer on a multi handle rather than curl_easy_perform(), because only that can be woken up.
class HttpTransport final : public OtlpTransport {
 public:
  explicit HttpTransport(const OtlpConfig& config)
      : multi_(curl_multi_init()), easy_(curl_easy_init()) {
    add_header("Content-Type: application/x-protobuf");
    add_header("Expect:");  // no "100-continue": a collector that is slow to say so costs a second
    for (const auto& [name, value] : config.headers) add_header(name + ": " + value);
    CURL* easy = easy_.get();
    curl_easy_setopt(easy, CURLOPT_URL, config.endpoint.c_str());
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers_.get());
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "penstock");
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);  // do not wait for a name lookup
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, &HttpTransport::receive);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
    if (!config.ca_file.empty()) curl_easy_setopt(easy, CURLOPT_CAINFO, config.ca_file.c_str());
    if (!config.client_key_file.empty()) {
      curl_easy_setopt(easy, CURLOPT_SSLKEY, config.client_key_file.c_str());
    }
    if (!config.client_certificate_file.empty()) {
      curl_easy_setopt(easy, CURLOPT_SSLCERT, config.client_certificate_file.c_str());
    }
  }

  std::string send(const ExportTraceServiceRequest& request, ExportTraceServiceResponse& response,
                   std::chrono::milliseconds timeout) override {
    const std::string body = request.SerializeAsString();
    CURL* easy = easy_.get();
    curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
    curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
    received_.clear();

    curl_multi_add_handle(multi_.get(), easy);
    std::string error = perform();
    curl_multi_remove_handle(multi_.get(), easy);
    if (!error.empty()) return error;

    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status > 299) return std::format("HTTP status {}", status);
    if (!response.ParseFromString(received_)) response.Clear();
    return {};
  }

  void cancel() override {
    cancelled_ = true;
    curl_multi_wakeup(multi_.get());
  }

 private:
  void add_header(const std::string& line) {
    headers_.reset(curl_slist_append(headers_.release(), line.c_str()));
  }

  // Until the transfer is done or cancelled. Empty: there is a status.
  std::string perform() {
    while (!cancelled_) {
      int running = 0;
      if (const CURLMcode code = curl_multi_perform(multi_.get(), &running); code != CURLM_OK) {
        return curl_multi_strerror(code);
      }
      int queued = 0;
      if (const CURLMsg* message = curl_multi_info_read(multi_.get(), &queued);
          message != nullptr && message->msg == CURLMSG_DONE) {
        return message->data.result == CURLE_OK ? "" : curl_easy_strerror(message->data.result);
      }
      curl_multi_poll(multi_.get(), nullptr, 0, 1000, nullptr);
    }
    return "cancelled";
  }

  static std::size_t receive(const char* data, std::size_t /*always one*/, std::size_t size,
                             void* self) {
    std::string& received = static_cast<HttpTransport*>(self)->received_;
    if (received.size() + size > kMaxResponseBytes) return 0;  // ends the transfer
    received.append(data, size);
    return size;
  }

  Owned<CURLM, curl_multi_cleanup> multi_;
  Owned<CURL, curl_easy_cleanup> easy_;
  Owned<curl_slist, curl_slist_free_all> headers_;
  std::string received_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

std::expected<std::unique_ptr<OtlpTransport>, std::string> make_http_transport(
    const OtlpConfig& config) {
  static const CURLcode global = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (global != CURLE_OK) return std::unexpected(curl_easy_strerror(global));
  return std::make_unique<HttpTransport>(config);
}

}  // namespace penstock::telemetry
