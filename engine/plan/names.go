package plan

import (
	"fmt"

	"horcrux/engine/model"
)

// namesRule refuses what cannot be called by its name: after cleaning, the path
// of one file may be that of another.
func namesRule(f *facts) []model.Finding {
	if len(f.vm.Altered) == 0 {
		return nil
	}
	return one(fail("names", "names",
		fmt.Sprintf("the VM's definition has names with line breaks or control characters, which cannot be handled safely: %q", list(f.vm.Altered)),
		"rename them (virsh domrename; for a disk, rename the file and virsh edit), then move the VM"))
}
