#include "cli/databases.h"

#include "cli/cli.h"
#include "config/load.h"
#include "penstock/v1/pipeline.pb.h"

namespace penstock::cli {

int index_of(const config::Loaded& loaded, const std::string& name) {
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    if (loaded.config.pipelines(i).name() == name) return i;
  }
  return -1;
}

bool databases_of(const std::string& config, const std::string& database,
                  const std::string& pipeline, std::set<std::string>& found) {
  if (!database.empty()) {
    found.insert(database);
    return true;
  }
  config::Loaded loaded;
  if (!load_config(config, loaded)) return false;
  const int index = index_of(loaded, pipeline);
  for (int i = 0; i < loaded.config.pipelines_size(); ++i) {
    if (index < 0 || i == index) found.insert(loaded.config.pipelines(i).sink().postgres());
  }
  return true;
}

}  // namespace penstock::cli
