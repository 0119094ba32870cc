package plan

import (
	"fmt"
	"path"
	"slices"

	"horcrux/engine/model"
)

// rightsRule refuses a move that would end with the VM at the target and its
// old disk at the source under its old name, because the user may not move it
// aside. The target's files are made by libvirt.
func rightsRule(f *facts) []model.Finding {
	const id, title = "rights", "rights of the user"
	for _, d := range f.disks {
		dir := path.Dir(d.Source)
		if d.Decision == model.DiskCopy && slices.Contains(f.src.Unwritable, dir) {
			return one(fail(id, title,
				fmt.Sprintf("user %s may not rename files in %s on %s, so the disk that is left there could not be moved aside", f.src.User, dir, f.src.Name),
				fmt.Sprintf("set sudo = true for %s, or log in there as root", f.src.Name)))
		}
	}
	return nil
}
