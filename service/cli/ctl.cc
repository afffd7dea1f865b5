#include <google/protobuf/util/json_util.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <format>
#include <iostream>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "cli/cli.h"
#include "cli/options.h"
#include "config/load.h"
#include "control/client.h"
#include "core/listen_address.h"
#include "text/plural.h"
#include "text/printable.h"

namespace penstock::cli {
namespace {

struct Options {
  std::string config;
  control::ClientOptions client;
  control::TlsFiles tls;
  std::string name;
  std::string reason;
  std::int64_t drain_seconds = 30;
  bool accept_rejects = false;
  bool json = false;
};

std::string json_of(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  return text;
}

// "-" while it is not known of all partitions, so that nobody takes it for 0.
std::string lag_of(const v1::Pipeline& pipeline) {
  const auto state = pipeline.state();
  if (state == v1::Pipeline::STARTING || state == v1::Pipeline::FAILED) return "-";
  std::int64_t records = 0;
  for (const v1::Partition& partition : pipeline.partitions()) {
    if (!partition.has_lag_records()) return "-";
    records += partition.lag_records();
  }
  return std::to_string(records);
}

std::string state_of(const v1::Pipeline& pipeline) {
  std::string text = v1::Pipeline::State_Name(pipeline.state());
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  if (pipeline.state_reason().empty()) return text;
  return text + ": " + text::printable(pipeline.state_reason());
}

void print_line(const v1::Pipeline& pipeline) {
  std::cout << std::format("{:<24}  lag {:>9}  dead letters {:>6}  {}\n",
                           text::printable(pipeline.name()), lag_of(pipeline),
                           pipeline.counters().dead_letters_committed(), state_of(pipeline));
}

void print_partition(const v1::Partition& partition) {
  const auto known = [](bool is, std::int64_t value) {
    return is ? std::to_string(value) : std::string("unknown");
  };
  std::string halt;  // nothing is read, and why
  if (!partition.blocked_reason().empty()) {
    halt = "; stopped: " + text::printable(partition.blocked_reason());
  } else if (!partition.waiting_reason().empty()) {
    halt = "; " + text::printable(partition.waiting_reason());
  }
  std::cout << std::format("  {}[{}]: committed up to {} of {}, {} in flight, epoch {}{}\n",
                           partition.topic(), partition.partition(),
                           known(partition.has_committed_offset(), partition.committed_offset()),
                           known(partition.has_high_watermark(), partition.high_watermark()),
                           partition.in_flight_records(), partition.epoch(), halt);
}

void print_whole(const v1::Pipeline& pipeline) {
  const v1::Counters& counters = pipeline.counters();
  print_line(pipeline);
  std::string tables;
  for (const std::string& table : pipeline.tables()) {
    tables += (tables.empty() ? "" : ", ") + text::printable(table);
  }
  std::cout << std::format(
      "  group {}, {} {}\n"
      "  {} polled, {} left out, {}, {}, {}, {}\n",
      pipeline.group(), pipeline.tables_size() == 1 ? "table" : "tables", tables,
      counters.records_polled(), counters.records_filtered(),
      text::counted(counters.rows_committed(), "row"),
      text::counted(counters.dead_letters_committed(), "dead letter"),
      text::counted(counters.transactions_committed(), "transaction"),
      text::counted(counters.rebalances(), "rebalance"));
  if (pipeline.has_last_error()) {
    const std::chrono::sys_seconds at{std::chrono::seconds(pipeline.last_error().at().seconds())};
    std::cout << std::format("  last error at {:%FT%TZ}: {}\n", at,
                             text::printable(pipeline.last_error().message()));
  }
  for (const v1::Partition& partition : pipeline.partitions()) print_partition(partition);
}

int show(const Options& options, const Result<v1::Pipeline>& pipeline) {
  if (!pipeline) return report(pipeline.error());
  if (options.json) {
    std::cout << json_of(*pipeline) << "\n";
  } else {
    print_whole(*pipeline);
  }
  return kOk;
}

int list(const Options& options, control::Client& client) {
  const auto pipelines = client.list();
  if (!pipelines) return report(pipelines.error());
  for (const v1::Pipeline& pipeline : *pipelines) {
    if (options.json) {
      std::cout << json_of(pipeline) << "\n";
    } else {
      print_line(pipeline);
    }
  }
  return kOk;
}

// Where the server of a configuration is reached from its own machine.
Result<std::string> address_in(const config::Loaded& loaded) {
  const std::string& listens = loaded.config.server().grpc();
  auto address = parse_listen_address(listens);
  if (!address || address->port == 0) {
    return fail(ErrorKind::invalid_argument,
                "server.grpc is '" + listens + "', which is no address to call",
                "give it with --address");
  }
  if (address->host == "0.0.0.0") address->host = "127.0.0.1";
  if (address->host == "::") address->host = "::1";
  return address->to_string();
}

// Another port than was meant would be called for one that there is not.
Result<void> check_port(const std::string& address) {
  if (address.contains('/')) return {};  // unix:///run/…, dns:///…
  const std::string_view port = std::string_view(address).substr(address.rfind(':') + 1);
  int number = 0;
  const auto [end, status] = std::from_chars(port.data(), port.data() + port.size(), number);
  const bool is_port = status == std::errc() && end == port.data() + port.size() && number > 0 &&
                       number <= 65'535 && address.contains(':');
  if (is_port) return {};
  return fail(ErrorKind::invalid_argument, "the address '" + address + "' has no port to call",
              "HOST:PORT, such as 127.0.0.1:7070");
}

// With a client that speaks as the options say.
template <typename Act>
int with_client(const Options& options, Act act) {
  control::ClientOptions client_options = options.client;
  if (!options.config.empty()) {
    config::Loaded loaded;
    if (!load_config(options.config, loaded)) return kUsage;
    auto address = address_in(loaded);
    if (!address) return report(address.error());
    client_options.address = *std::move(address);
  }
  if (const auto checked = check_port(client_options.address); !checked) {
    return report(checked.error());
  }
  const control::TlsFiles& tls = options.tls;
  if (!tls.authority.empty()) client_options.tls = tls;
  auto client = control::Client::make(std::move(client_options));
  if (!client) return report(client.error());
  return act(*client);
}

CLI::App* add(CLI::App& parent, const std::string& name, const std::string& description,
              Options& options) {
  CLI::App* command = parent.add_subcommand(name, description);
  CLI::Option* address =
      command->add_option("--address", options.client.address, "Where server.grpc listens")
          ->type_name("HOST:PORT")
          ->envname("PENSTOCK_ADDRESS")
          ->capture_default_str();
  command->add_option("-c,--config", options.config, "The same, from the server's configuration")
      ->type_name("FILE")
      ->excludes(address);
  CLI::Option* ca =
      command->add_option("--ca-file", options.tls.authority,
                          "Speak TLS: PEM file with the authority of the server's certificate");
  CLI::Option* certificate =
      command->add_option("--certificate-file", options.tls.certificate,
                          "PEM file with a certificate of ours, if the server asks for one");
  CLI::Option* key =
      command->add_option("--key-file", options.tls.key, "PEM file with its private key");
  CLI::Option* server_name =
      command->add_option("--server-name", options.client.server_name,
                          "Name in the server's certificate, if it is not the host");
  for (CLI::Option* file : {ca, certificate, key}) file->type_name("FILE");
  server_name->type_name("NAME")->needs(ca);
  certificate->needs(key)->needs(ca);
  key->needs(certificate);
  command->add_flag("--json", options.json, "Print the API's messages, one to a line");
  set_example(*command, "penstock ctl " + name);
  return command;
}

CLI::App* add_named(CLI::App& parent, const std::string& name, const std::string& description,
                    Options& options) {
  CLI::App* command = add(parent, name, description, options);
  command->add_option("pipeline", options.name, "Name of the pipeline")
      ->required()
      ->type_name("PIPELINE");
  set_example(*command, "penstock ctl " + name + " orders");
  return command;
}

}  // namespace

void add_ctl(CLI::App& app, int& exit_status) {
  const auto options = std::make_shared<Options>();
  CLI::App* ctl = app.add_subcommand("ctl", "Look at and steer the pipelines of a running process");
  ctl->require_subcommand(1);
  const auto act = [options, &exit_status](auto call) {
    return [options, &exit_status, call] {
      exit_status = with_client(
          *options, [&](control::Client& client) { return show(*options, call(client)); });
    };
  };
  add(*ctl, "list", "All pipelines, one to a line", *options)->callback([options, &exit_status] {
    exit_status =
        with_client(*options, [&](control::Client& client) { return list(*options, client); });
  });
  add_named(*ctl, "get", "One pipeline with its partitions", *options)
      ->callback(act([options](auto& client) { return client.get(options->name); }));
  CLI::App* pause =
      add_named(*ctl, "pause", "Stop fetching; what is in flight is still committed", *options);
  pause->add_option("--reason", options->reason, "Shown to whoever looks at it next")
      ->type_name("TEXT");
  pause->footer(
      "It holds for this process only, until `penstock ctl resume` or a restart: other processes\n"
      "of the group go on with their partitions.\n\n"
      "Example:\n  penstock ctl pause orders --reason 'the table is being rebuilt'");
  pause->callback(act([options](auto& client) {
    auto paused = client.pause(options->name, options->reason);
    if (paused && !options->json) {
      std::cout << "paused in this process, until `penstock ctl resume "
                << text::printable(options->name) << "` or its restart; others of group "
                << text::printable(paused->group()) << " go on\n";
    }
    return paused;
  }));
  CLI::App* resume = add_named(
      *ctl, "resume", "Go on after a pause; try at once what is tried again by itself", *options);
  resume->add_flag("--accept-rejects", options->accept_rejects,
                   "Where a partition has stopped because too many records are rejected, let them "
                   "become dead letters");
  resume->callback(act(
      [options](auto& client) { return client.resume(options->name, options->accept_rejects); }));
  CLI::App* drain =
      add_named(*ctl, "drain", "Stop fetching, and return when all of it is committed", *options);
  drain->add_option("--timeout", options->drain_seconds, "How long to wait, at most 600")
      ->type_name("SECONDS")
      ->check(CLI::Range(1, 600))
      ->capture_default_str();
  set_example(*drain, "penstock ctl drain orders --timeout 120");
  drain->callback(act([options](auto& client) {
    return client.drain(options->name, std::chrono::seconds(options->drain_seconds));
  }));
  // Not before: subcommands would take it over.
  ctl->footer(
      "Examples:\n"
      "  penstock ctl list\n"
      "  penstock ctl pause orders --reason 'the table is being rebuilt'\n"
      "  penstock ctl drain orders --address penstock:7070 --ca-file ca.crt \\\n"
      "    --certificate-file client.crt --key-file client.key");
}

}  // namespace penstock::cli
