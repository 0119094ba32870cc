// Package store copies the files of a VM from one node to another while nobody
// writes to them: disks, NVRAM, the folder of a vTPM, a saved state, ISO images.
//
//	c, err := store.Open(ctx, source, target, store.Plan{Job: job, Files: files, Dir: folder})
//	defer c.Close()                  // gives the lock on the source back
//	err = c.Run(ctx, progress)       // copies and verifies, window by window
//	proof, err := c.Verify(ctx)      // what was compared; looks once more at both ends
//	err = c.Publish(ctx)             // renames; never over something that is there
//
// All of it can be called again, by another process too, with the same plan:
// the log in Plan.Dir knows what is on the target's disk and proved equal.
// Discard removes what an unfinished copy left, Withdraw what was published.
//
// The bytes of a file are copied as they are, whatever its format; holes stay
// holes. A file grows as NAME.partial-JOB and gets its name only when every
// block was read again from the target's disk and its sha256 equals that of the
// source. The source is locked against QEMU's writers until Close, so that
// nobody starts the VM from it; readers, such as a guest that has it as a
// backing file, are not disturbed.
//
// Nothing is installed on the nodes: the package uses sh, coreutils and
// qemu-utils, and zstd where it is there. Scripts are constants; names and
// numbers are arguments or standard input. What has to run for long on a node
// ends by itself when its standard input ends or is silent.
//
// The package does not know what a VM is; which files belong together, and
// when it is right to copy them, is the caller's business.
package store
