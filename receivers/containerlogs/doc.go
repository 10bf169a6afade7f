// Package containerlogs is a receiver of container logs: the files that the
// container runtime writes below /var/log/pods, in CRI or Docker's json-file
// format.
//
// # Source
//
// <root>/<namespace>_<pod>_<uid>/<container>/<restart>.log, what kubelet's
// rotation makes of it (0.log.20060102-150405, later compressed to .gz), and
// symbolic links in its place. The path says whose log it is; each container
// instance is one plog.ResourceLogs in a batch.
//
// # Guarantees
//
// The file is the write-ahead log. An offset is committed only when the next
// consumer returned nil (or refused for good) for all lines before it, and
// written to the offsets file, atomically and synced, at most a second later.
// The folder is locked: a second agent on the node refuses to start.
// After kill -9 or power loss what was not committed is read again: at least
// once, in order per container, and a line sent again has the same timestamp,
// body and stream. (The exception are malformed lines: they have no timestamp
// of their own.)
//
//   - Rotation: a file is read to its end, twice, before the next one is begun;
//     later writes to it are still found for 30 s. Rotations while stopped, also
//     compressed ones, are read in order.
//   - Partial lines are joined, also across rotation and restart: the offset of
//     the first piece is held back until the last one was delivered. A line
//     whose end does not come within 30 s of silence is delivered as it is.
//   - A file's identity is a hash of its first bytes; the inode only helps.
//   - Deleted files are read to their end from the open descriptor. Deleted
//     files may hold 256 MiB of disk; beyond that their bytes are given up and
//     counted (crowsnest_containerlogs_lost_bytes_total).
//   - Lines over max_line_bytes are cut at a character, marked log.truncated
//     and counted. Lines in no known format are delivered as they are, marked
//     crowsnest.malformed and counted. Bytes that are not UTF-8 become U+FFFD.
//   - When deliveries fail or are slow nothing is dropped: reading stops at
//     max_in_flight_bytes and the same records are sent again without end.
//
// A file that is truncated in place is read from its beginning as soon as it
// is found to be shorter than what was read; lines it lost in between, and a
// truncation that regrew past that point between two looks (100 ms while it is
// written), cannot be known. With an empty directory setting offsets are in
// memory only and each start begins at start_at.
//
// # Flow
//
//	discovery ──► tails ──► scheduler ──► lanes ──► next consumer
//	 (scan, inotify)   ▲  wake   │  queue   │ read, parse, deliver, commit
//	                   └─────────┴──────────┘ release: more, hot or cold
//
// A lane is one goroutine that fills a batch (512 KiB of text, a 256 KiB chunk
// of each file in turn), delivers it and commits. A tail is in one lane at a
// time. Files that were written in the last two seconds are polled every
// 100 ms; others wait for an inotify alarm that fires once.
//
// # Cost
//
// A line costs a newline scan, a hand-written header parse and five
// allocations of pdata; see the benchmarks. An idle file costs a stat each
// scan_interval and no goroutine. Memory is bounded by max_in_flight_bytes (a
// few times over, for pdata and what exporters make of it), a read buffer per
// lane, and an unfinished line of max_line_bytes per stream.
package containerlogs
