package ends

import (
	"context"
	"fmt"
)

// snapshotScript makes a copy that shares its blocks, readable for its owner
// alone, or leaves nothing.
const snapshotScript = `umask 077; cp --reflink=always -- "$1" "$2" || { rm -f -- "$2"; exit 1; }`

// Snapshot makes a copy of a file that shares its blocks, at once, or fails: on
// file systems that cannot do that, of which ext4 is one.
func (e *End) Snapshot(ctx context.Context, file, to string) error {
	for _, p := range []string{file, to} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	if err := e.run(ctx, "sh", "-c", snapshotScript, "horcrux", file, to); err != nil {
		return fmt.Errorf("no snapshot of %s can be made on %s: %w", file, e.Name(), err)
	}
	return nil
}
