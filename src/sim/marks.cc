#include "sim/marks.h"

#include <algorithm>

namespace weft::sim {

std::vector<Mark*> marks(Mark::Kind kind) {
  std::vector<Mark*> found;
  for (Mark* mark = Mark::first(kind); mark != nullptr; mark = mark->next()) found.push_back(mark);
  std::ranges::sort(found, {}, &Mark::name);
  return found;
}

bool turn_on_plant(std::string_view name) {
  for (Mark* plant : marks(Mark::Kind::kPlant)) {
    if (plant->name() != name) continue;
    plant->turn(true);
    return true;
  }
  return false;
}

}  // namespace weft::sim
