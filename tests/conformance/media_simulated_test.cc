// The media suite on the simulated disk: as it comes, and as rough as a disk without errors may be.
#include "core/test_support.h"
#include "sim/core.h"
#include "sim/disk_medium.h"
#include "tests/conformance/media_conformance.h"

namespace weft::conformance {
namespace {

template <bool kIsRough>
class DiskWorld {
 public:
  using Medium = sim::DiskMedium;
  static constexpr uint64_t kSizeBytes = 64 << 20;

  ~DiskWorld() {
    EXPECT_FALSE(referee_.finding().has_value()) << referee_.finding()->what;
    EXPECT_EQ(disk_.outstanding(), 0u);
  }
  Medium& medium() { return medium_; }
  Reactor& reactor(size_t index) { return sides_[index].reactor; }
  void turn() {
    for (Side& side : sides_) side.reactor.run_once();
    agenda_.step();
  }

 private:
  static sim::DiskOptions options() {
    if (!kIsRough) return {};
    sim::DiskOptions rough{.latency_spread = milliseconds(5), .outlier_one_in = 100, .short_one_in = 3};
    rough.is_unsupported[size_t(media::Kind::kZeroDeallocate)] = true;
    rough.is_unsupported[size_t(media::Kind::kWriteStable)] = true;
    return rough;
  }
  struct Side {
    explicit Side(sim::Agenda& agenda) : core(agenda, 1) {}
    sim::Core core;
    testing_support::NullSink sink;
    Reactor reactor{{}, core, sink};
  };

  sim::Agenda agenda_{1};
  sim::Referee referee_;
  sim::Trace trace_{sim::Trace::Print::kNo};
  sim::Disk disk_{{agenda_, referee_, trace_},
                  {.name = "disk",
                   .size_bytes = kSizeBytes,
                   .physical_block_bytes = kIsRough ? 512u : 4096u,
                   .alignment = {.memory = kIsRough ? 512u : 1u, .offset = 512}},
                  Prng{1},
                  options()};
  Medium medium_{disk_};
  std::array<Side, 2> sides_{Side{agenda_}, Side{agenda_}};
};

using Worlds = ::testing::Types<DiskWorld<false>, DiskWorld<true>>;

struct WorldNames {
  template <typename W>
  static std::string GetName(int index) {
    return index == 0 ? "Simulated" : "SimulatedRough";
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(All, MediaConformance, Worlds, WorldNames);

}  // namespace
}  // namespace weft::conformance
