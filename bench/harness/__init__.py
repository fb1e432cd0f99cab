"""The parts of the measuring programs: the machine, servers, the client, workloads, rounds, reports. Standard library only."""
