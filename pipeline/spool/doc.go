// Package spool is a processor that takes data over, keeps them in a directory
// or in memory, and hands them to the next consumer in order.
//
// Source: metrics, traces or logs of the pipeline before it. It stands in the
// agent between the signals that have no file behind them and the exporter,
// which must be synchronous: nil from the next consumer means that the next hop
// has acknowledged.
//
// Guarantees, with a directory:
//   - ConsumeX returns nil when the data are in a file. They survive the end of the
//     program at any point, kill -9 included. Files are synced every second and
//     when they are full, so a power loss takes what came in its last second:
//     a sync per request costs 1 to 4 ms of latency and a disk write each.
//   - Entries are sent in order, one request at a time, and removed when the next
//     consumer answered nil or a permanent error. Other errors are retried without
//     end, 100 ms to 10 s apart. What was in flight at a crash is sent again.
//   - The spool never takes more than max_bytes. At the bound whole segments are
//     given up, oldest first (an eighth of the spool, at most 8 MiB), except the one
//     being sent; their items are counted as dropped, reason queue_full.
//   - What cannot be written (full disk) is counted in crowsnest_spool_refused_items.
//     If nothing waits it is sent on at once, unspooled; else, or if the next hop
//     does not take it within 10 s, it is refused with an error that asks the sender
//     to send again. The spool's old data stay, and what is delivered gives its room
//     back. A sender that cannot keep its data counts them itself.
//   - What cannot be read back is skipped, logged with file and offset and counted:
//     items as dropped, reason corrupt; bytes in crowsnest_spool_corrupt_bytes
//     where the items are not known. The spool still starts.
//
// In memory everything is the same, but the end of the program takes the spool
// with it: Shutdown sends what it can until its context ends (5 s if it has no
// end) and counts the rest as dropped, reason shutdown.
//
// In the ledger the items in a spool are queued. Entries recovered at a start
// count as received by the spool in this process, since no receiver of this
// process did. Delivered is counted by the exporter.
//
// An entry alone may be a quarter of max_bytes; a larger one is refused for good
// and counted as dropped, reason too_large. Client metadata and the sender's
// address are not kept: processors that need them come before.
//
// Cost: one marshalling and one unmarshalling, a checksum each way, and two
// writes and one or two reads of the page cache per entry; small entries are
// joined to requests of up to 512 KiB. See the benchmarks. FORMAT.md describes the
// files.
//
// Prometheus's tsdb/wlog was considered for the segments. It has no bound and no
// cursor, repairs by deleting all that follows a damage, and splits records over
// pages, which a failed write leaves half flushed; what would remain to write is
// most of queue.go.
package spool
