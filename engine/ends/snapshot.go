package ends

import (
	"context"
	"fmt"
	"path"
	"regexp"
)

// snapshotScript makes a copy that shares its blocks, readable for its owner
// alone, or leaves nothing.
const snapshotScript = `umask 077; LC_ALL=C cp --reflink=always -- "$1" "$2" || { rm -f -- "$2"; exit 1; }`

// Snapshot makes a copy of a file that shares its blocks, at once, or fails: on
// file systems that cannot do that, of which ext4 is one.
func (e *End) Snapshot(ctx context.Context, file, to string) error {
	for _, p := range []string{file, to} {
		if err := absolute(p); err != nil {
			return err
		}
	}
	err := e.run(ctx, "sh", "-c", snapshotScript, "horcrux", file, to)
	if err != nil && cannotClone.MatchString(err.Error()) {
		return fmt.Errorf("the file system of %s on %s makes no snapshots of files", path.Dir(file), e.Name())
	}
	return err
}

// cannotClone are the words of cp for what FICLONE says of a file system without
// shared blocks.
var cannotClone = regexp.MustCompile(`failed to clone .*(Operation not supported|Inappropriate ioctl for device|Function not implemented|Invalid cross-device link)`)
