// The disk of a table is full: PostgreSQL says so, and it is waited for. No position moves, no good
// record becomes a dead letter, and everything arrives when there is room again.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <format>
#include <stdexcept>
#include <string>

#include "harness/temporary_directory.h"
#include "support/stand.h"

namespace penstock::test {
namespace {

using namespace std::chrono_literals;

// A file system of a few megabytes that the server may write to, as a tablespace.
class SmallDisk {
 public:
  explicit SmallDisk(Stand& stand) : stand_(stand) {
    struct stat data{};
    if (stat(stand.query("SHOW data_directory")[0][0]->c_str(), &data) != 0) {
      throw std::runtime_error("the server's directory is not there");
    }
    std::filesystem::permissions(directory_.path(), std::filesystem::perms(0711));
    std::filesystem::create_directory(disk());
    const std::string options =
        std::format("size=24m,mode=0700,uid={},gid={}", data.st_uid, data.st_gid);
    if (mount("tmpfs", disk().c_str(), "tmpfs", 0, options.c_str()) != 0) {
      throw std::runtime_error("a tmpfs cannot be mounted: these tests run as root");
    }
    std::filesystem::create_directory(disk() / "tables");
    if (chown((disk() / "tables").c_str(), data.st_uid, data.st_gid) != 0) {
      throw std::runtime_error("the directory cannot be given to the server");
    }
    stand.execute("CREATE TABLESPACE small LOCATION '" + (disk() / "tables").string() + "'");
  }
  ~SmallDisk() {
    stand_.postgres().stop(harness::LocalPostgres::Shutdown::immediate);
    umount2(disk().c_str(), MNT_DETACH);
  }
  SmallDisk(const SmallDisk&) = delete;
  SmallDisk& operator=(const SmallDisk&) = delete;

  void fill() {
    stand_.execute("CREATE TABLE ballast (bytes text) TABLESPACE small");
    for (const int rows : {1000, 100, 10, 1}) {
      while (true) {
        try {
          stand_.execute(
              "INSERT INTO ballast SELECT repeat(md5(random()::text), 60) FROM "
              "generate_series(1, " +
              std::to_string(rows) + ")");
        } catch (const std::exception&) {
          break;  // the disk is full
        }
      }
    }
  }
  void make_room() { stand_.execute("DROP TABLE ballast"); }

 private:
  [[nodiscard]] std::filesystem::path disk() const { return directory_.path() / "disk"; }

  Stand& stand_;
  harness::TemporaryDirectory directory_ =
      must(harness::TemporaryDirectory::make("penstock-small-disk"));
};

class DiskFull : public testing::TestWithParam<const char*> {};

TEST_P(DiskFull, IsWaitedForAndNothingIsLost) {
  Stand stand({.bad_one_in = 10, .with_totals = false});
  SmallDisk disk(stand);
  stand.execute(std::string("ALTER TABLE ") + GetParam() + " SET TABLESPACE small");
  auto serve = stand.serve("serve");
  stand.produce(20'000, 1'000);
  ASSERT_TRUE(stand.wait_until_applied(500)) << serve.log();
  disk.fill();

  std::string ready;
  EXPECT_TRUE(wait_until([&] {
    const auto answer = serve.get("/readyz");
    ready = answer ? answer->body : "";
    return answer && answer->status == 503 && ready.contains("No space left on device");
  })) << ready
      << serve.log();
  EXPECT_FALSE(ready.contains("does not answer")) << "it does: " << ready;
  EXPECT_EQ(must(serve.get("/livez")).status, 200);
  // Whatever is tried meanwhile is neither a row nor a dead letter.
  const std::int64_t applied = stand.applied();
  const std::int64_t letters = stand.number("SELECT count(*) FROM penstock.dead_letters");
  const int failures = serve.logged("\"write_failed\"");
  EXPECT_TRUE(wait_until([&] { return serve.logged("\"write_failed\"") >= failures + 3; }));
  EXPECT_EQ(stand.applied(), applied);
  EXPECT_EQ(stand.number("SELECT count(*) FROM penstock.dead_letters"), letters);

  disk.make_room();
  const harness::Verdict verdict = stand.conclude();
  EXPECT_TRUE(verdict.clean()) << verdict.to_string() << serve.log();
  EXPECT_EQ(verdict.rows + verdict.dead_letters, verdict.produced) << verdict.to_string();
  EXPECT_EQ(stand.number("SELECT count(*) FROM penstock.dead_letters WHERE sqlstate = '53100'"), 0);
  serve.stop();
}

INSTANTIATE_TEST_SUITE_P(Of, DiskFull, testing::Values("orders", "penstock.dead_letters"),
                         [](const auto& info) {
                           return std::string(info.param) == "orders" ? "TheTable" : "DeadLetters";
                         });

}  // namespace
}  // namespace penstock::test
