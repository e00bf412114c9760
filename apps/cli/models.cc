// SPDX-License-Identifier: Apache-2.0
// upres models: what models there are.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "command.h"
#include "failure.h"
#include "fetch.h"
#include "model/model.h"
#include "model/registry.h"
#include "model_folders.h"
#include "standard_output.h"

namespace upres {
namespace {

namespace fs = std::filesystem;

struct ModelsOptions {
  std::string name;
  std::optional<fs::path> folder;
  bool json = false;
  bool verbose = false;
};

/// A model that is known, or here, or both.
struct Row {
  std::string name;
  const KnownModel* known = nullptr;
  fs::path path;  ///< empty when it is not here
  uint64_t size_bytes = 0;
};

/// Of both files where it is ncnn's.
uint64_t size_of(const fs::path& path) {
  std::error_code gone;
  uint64_t size = fs::file_size(path, gone);
  if (gone) return 0;
  if (path.extension() == ".param") size += size_of(fs::path(path).replace_extension(".bin"));
  return size;
}

/// Known models first, then others that are here.
std::vector<Row> rows(const ModelFolders& folders) {
  std::vector<Row> rows;
  for (const KnownModel& known : known_models()) {
    rows.push_back({std::string(known.name), &known, {}, known.size_bytes});
  }
  for (const FoundModel& found : models_in(folders)) {
    const auto known = std::find_if(rows.begin(), rows.end(), [&](const Row& row) {
      return row.known && row.name == found.name;
    });
    if (known != rows.end()) {
      known->path = found.path;
    } else {
      rows.push_back({found.name, nullptr, found.path, size_of(found.path)});
    }
  }
  return rows;
}

std::string scale_of(const Row& row) {
  return row.known ? fmt::format("x{}", row.known->scale) : "-";
}

/// "yes", "no", or "other" for a file that has a known one's name and another size.
std::string here(const Row& row) {
  if (row.path.empty()) return "no";
  return row.known && size_of(row.path) != row.size_bytes ? "other" : "yes";
}

std::string sha256_of(const fs::path& path) {
  return sha256_hex(MappedFile::open(path, ErrorCode::model).bytes());
}

/// Where it is, and whether it is what its name says.
std::string where(const Row& row) {
  if (row.path.empty()) return fmt::format("no; upres models fetch {}", row.name);
  try {
    const bool other = row.known && sha256_of(row.path) != row.known->sha256;
    return row.path.string() + (other ? ", but that is another file" : "");
  } catch (const Error&) {
    return row.path.string() + ", but that cannot be read";
  }
}

std::string table(const std::vector<Row>& rows) {
  size_t width = 4;
  for (const Row& row : rows) width = std::max(width, row.name.size());
  std::string text = fmt::format("{:<{}}  scale  licence       {:>7}  here\n", "name", width, "MB");
  for (const Row& row : rows) {
    text += fmt::format("{:<{}}  {:<5}  {:<12}  {:>7.1f}  {}\n", one_line(row.name), width,
                        scale_of(row), row.known ? row.known->licence : "-",
                        double(row.size_bytes) / 1e6, here(row));
  }
  return text + "\nupres models NAME tells more of one; upres models fetch NAME downloads it.\n";
}

std::string facts(const Row& row) {
  std::vector<std::pair<const char*, std::string>> lines{{"name", row.name}};
  const auto add = [&](const char* key, std::string_view value) {
    if (!value.empty()) lines.emplace_back(key, value);
  };
  if (row.known) {
    add("for", row.known->about);
    add("scale", fmt::format("{}", row.known->scale));
    add("licence", row.known->licence);
  }
  add("size", fmt::format("{} bytes", row.size_bytes));
  if (row.known) {
    add("sha256", row.known->sha256);
    add("url", row.known->url);
    add("source", row.known->source);
  }
  add("here", where(row));
  std::string text;
  for (const auto& [key, value] : lines) text += fmt::format("{:<8} {}\n", key, one_line(value));
  return text;
}

nlohmann::ordered_json json_of(const Row& row) {
  nlohmann::ordered_json json{{"name", row.name}};
  const auto text = [](std::string_view value) {
    return value.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(value);
  };
  const KnownModel none{};
  const KnownModel& known = row.known ? *row.known : none;
  json["about"] = text(known.about);
  json["scale"] = row.known ? nlohmann::ordered_json(known.scale) : nlohmann::ordered_json();
  json["licence"] = text(known.licence);
  json["size_bytes"] = row.size_bytes;
  json["sha256"] = text(known.sha256);
  json["url"] = text(known.url);
  json["source"] = text(known.source);
  json["here"] = here(row);
  json["path"] = text(row.path.string());
  return json;
}

std::string json_text(const std::vector<Row>& rows) {
  auto list = nlohmann::ordered_json::array();
  for (const Row& row : rows) list.push_back(json_of(row));
  // A file's name may be no UTF-8.
  return list.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

/// Those that are asked for.
std::vector<Row> chosen(const ModelsOptions& options) {
  std::vector<Row> all = rows(model_folders(options.folder));
  if (options.name.empty()) return all;
  for (const Row& row : all) {
    if (row.name == options.name || (row.known && row.known->file == options.name)) return {row};
  }
  const KnownModel* nearest = nearest_known_model(options.name);
  fail(ErrorCode::model, "no model is called {}{}; upres models lists them", options.name,
       nearest ? fmt::format(" (did you mean {}?)", nearest->name) : "");
}

int run(const ModelsOptions& options) {
  const std::vector<Row> rows = chosen(options);
  std::string text;
  if (options.json) {
    text = json_text(rows);
  } else if (options.verbose || !options.name.empty()) {
    for (const Row& row : rows) text += (text.empty() ? "" : "\n") + facts(row);
  } else {
    text = table(rows);
  }
  write_to_stdout(text);
  return 0;
}

}  // namespace

Command add_models_command(CLI::App& program) {
  CLI::App* parser = program.add_subcommand("models", "List models, or download one");
  const auto options = std::make_shared<ModelsOptions>();
  auto* name = parser->add_option("NAME", options->name, "Only this one, with all that is known");
  auto* folder =
      parser->add_option("-m,--models", options->folder, "Folder of models, looked into first");
  folder->option_text("DIR");
  auto* json = parser->add_flag("--json", options->json, "Print JSON");
  auto* verbose = parser->add_flag("-v,--verbose", options->verbose, "Tell all of every model");
  json->excludes(verbose);
  const FetchCommand fetch = add_fetch_command(*parser);
  for (CLI::Option* option : {name, folder, json, verbose}) fetch.parser->excludes(option);
  return {.parser = parser, .run = [options, fetch](const std::stop_token& stop) {
            return fetch.parser->parsed() ? fetch.run(stop) : run(*options);
          }};
}

}  // namespace upres
