#include "platform/linux/process.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace weft::platform {

std::vector<uint32_t> allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<uint32_t> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return {0};
  for (uint32_t core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &set)) cores.push_back(core);
  }
  return cores;
}

Result<void> settle_thread(const std::string& name, uint32_t core) {
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(core, &set);
  const int error = pthread_setaffinity_np(pthread_self(), sizeof set, &set);
  if (error != 0) return fail(Errc::kInvalid, fmt::format("core {} is not one that this process may run on", core));
  return {};
}

uint64_t raise_descriptor_limit(uint64_t wanted) {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 0;
  if (limit.rlim_cur >= wanted) return limit.rlim_cur;
  const rlimit before = limit;
  limit.rlim_cur = wanted;
  limit.rlim_max = std::max<rlim_t>(limit.rlim_max, wanted);  // only root may raise the hard limit
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0) return limit.rlim_cur;
  limit = before;
  limit.rlim_cur = std::min<rlim_t>(wanted, before.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : before.rlim_cur;
}

Result<StopSignals> StopSignals::create() {
  std::signal(SIGPIPE, SIG_IGN);  // whoever reads our stdout may go
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  UniqueFd fd{signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)};
  if (!fd.is_open()) return std::unexpected(Error::from_errno(errno, "signalfd"));
  return StopSignals{std::move(fd)};
}

StopSignals::Woken StopSignals::wait(Duration timeout, int other_fd) {
  pollfd fds[2] = {{fd_.get(), POLLIN, 0}, {other_fd, POLLIN, 0}};
  if (poll(fds, other_fd < 0 ? 1 : 2, int(timeout.milliseconds())) <= 0) return Woken::kTimeout;
  if ((fds[0].revents & POLLIN) == 0) return Woken::kOther;
  signalfd_siginfo info;
  return read(fd_.get(), &info, sizeof info) == sizeof info ? Woken::kSignal : Woken::kOther;
}

}  // namespace weft::platform
