// How a thread that may wait asks a reactor for something. Never on a reactor: it would wait for itself.
#pragma once
#include <future>
#include <memory>
#include <utility>

#include "core/reactor.h"

namespace weft::platform {

/// What the asking thread waits for: set_value(), once, on any thread. It travels with the work, because it must not die with the asker while the other
/// thread is still inside set_value().
template <typename T>
using Answer = std::unique_ptr<std::promise<T>>;

/// Runs f(Answer<T>) on `reactor` and waits for what is put into the answer, there or later. Requires: the reactor runs.
template <typename T, typename F>
T ask(Reactor& reactor, F f) {
  auto answer = std::make_unique<std::promise<T>>();
  auto future = answer->get_future();
  reactor.post([f = std::move(f), answer = std::move(answer)]() mutable { f(std::move(answer)); });
  return future.get();
}

}  // namespace weft::platform
