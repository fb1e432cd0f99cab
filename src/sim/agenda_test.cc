#include "sim/agenda.h"

#include <gtest/gtest.h>
#include <string>

namespace weft::sim {
namespace {

TEST(Agenda, EventsHappenInTheOrderOfTime) {
  Agenda agenda{1};
  const Instant start = agenda.now();
  std::string order;
  agenda.after(milliseconds(2), [&] { order += 'b'; });
  agenda.after(milliseconds(1), [&] {
    order += 'a';
    agenda.after(milliseconds(2), [&] { order += 'c'; });
  });
  EXPECT_EQ(agenda.next(), start + milliseconds(1));
  while (agenda.step()) {
  }
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(agenda.now(), start + milliseconds(3));
  EXPECT_EQ(agenda.next(), Instant::never());
}

std::string order_of_equals(uint64_t seed) {
  Agenda agenda{seed};
  std::string order;
  for (const char name : std::string("abcdefgh")) agenda.after(seconds(1), [&order, name] { order += name; });
  while (agenda.step()) {
  }
  return order;
}

TEST(Agenda, TheOrderOfEventsOfOneInstantIsDrawnFromTheSeed) {
  EXPECT_EQ(order_of_equals(1), order_of_equals(1));
  EXPECT_NE(order_of_equals(1), order_of_equals(2));
}

TEST(Agenda, APastInstantIsThePresent) {
  Agenda agenda{1};
  bool happened = false;
  agenda.run_until(agenda.now() + seconds(5));
  const Instant now = agenda.now();
  agenda.at({now.ns - 1}, [&] { happened = true; });
  agenda.step();
  EXPECT_TRUE(happened);
  EXPECT_EQ(agenda.now(), now);
}

TEST(Agenda, RunUntilLeavesLaterEventsAlone) {
  Agenda agenda{1};
  int happened = 0;
  agenda.after(seconds(1), [&] { ++happened; });
  agenda.after(seconds(3), [&] { ++happened; });
  const Instant end = agenda.now() + seconds(2);
  agenda.run_until(end);
  EXPECT_EQ(happened, 1);
  EXPECT_EQ(agenda.now(), end);
}

}  // namespace
}  // namespace weft::sim
