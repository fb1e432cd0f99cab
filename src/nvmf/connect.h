// Connect: what makes a queue live. The admin Connect creates a controller on the queue's own shard and registers it on the home reactor; an I/O
// Connect goes by the home reactor to the controller's, and back. NVMe Base 2.0 §6.3; the order of checks is that of the reference targets.
#pragma once
#include "nvmf/queue.h"
#include "wire/fabrics/connect.h"

namespace weft::nvmf {

class Subsystem;

class Connector {
 public:
  /// Requires: command.data is a ConnectData; state kExecuting. complete() is called on the command now or later.
  static void connect(Queue& queue, Command& command);

 private:
  struct Request;
  struct Registration;
  static nvme::Status check(Queue& queue, const fabrics::ConnectSqe& sqe, const fabrics::ConnectData& data, Request& request,
                            uint32_t& parameter);
  static void connect_admin(Queue& queue, Command& command, const Request& request);
  static Registration register_at_home(Subsystem& subsystem, Controller& controller, bool is_loopback);
  static void registered(Queue& queue, Command& command, Controller& controller, Registration registration);
  static void connect_io(Queue& queue, Command& command, const Request& request);
  static void joined(Queue& queue, Command& command, Controller& controller);
  static void refuse(Queue& queue, Command& command, nvme::Status status, uint32_t parameter);
};

}  // namespace weft::nvmf
