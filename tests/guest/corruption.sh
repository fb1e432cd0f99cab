# corruption.sh: whether the kernel log of a guest shows that the guest's own memory is corrupt. Sourced by in_guest.sh.
#
# Seen some once in five boots of Linux 6.12 under software emulation on a busy machine, with the CMPXCHG16B that run.sh takes away: a page that
# its allocator gives out with a reference count below zero, found by whoever gets it next (virtio_net; or nvme_tcp, which then refuses to send
# its own command header). A peer over TCP has no hand in the reference counts of such pages. Should another fault of the emulator do the like,
# the job is repeated once in a fresh boot (run.sh); what the target does wrong comes again.
# shellcheck shell=bash

# shows_corruption: reads a kernel log; succeeds, and prints the first lines, if a complaint in it is about the guest's memory and neither its
# text nor its call trace names NVMe, or if it is the one about the host's own command header.
shows_corruption() {
    awk '
        function judge() {
            if (is_memory && !names_nvme || is_splice && names_header) { print first; found = 1 }
            in_block = 0
        }
        /BUG: |WARNING: |kernel BUG at|corruption/ {
            if (in_block) judge()
            in_block = 1; first = $0; names_nvme = names_header = 0
            is_memory = /BUG: Bad (page|rss)|kernel BUG at mm\/|list_(add|del) corruption|[Ss]lab.* corruption|freelist corrupt/
            is_splice = /skb_splice_from_iter/
        }
        in_block && /nvme/ && !/Modules linked in/ { names_nvme = 1 }
        in_block && /nvme_tcp_try_send_cmd_pdu/ { names_header = 1 }
        in_block && /<\/TASK>|end trace/ { judge() }
        END { if (in_block) judge(); exit !found }
    '
}
