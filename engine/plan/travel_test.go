package plan

import (
	"testing"

	"horcrux/engine/model"
)

func TestTravels(t *testing.T) {
	const nvram = "/var/lib/libvirt/qemu/nvram/web_VARS.fd"
	tpm := "/var/lib/libvirt/swtpm/" + string(uuid)
	tests := []struct {
		name  string
		mode  model.Mode
		there map[string]bool
		want  int
	}{
		{"only on the source", model.ModeLive, map[string]bool{nvram: false, tpm: false}, 2},
		{"online", model.ModeOnline, map[string]bool{nvram: false, tpm: false}, 2},
		{"on storage that both see", model.ModeLive, map[string]bool{nvram: true, tpm: true}, 0},
		{"nobody looked", model.ModeLive, nil, 0},
		{"offline copies them itself", model.ModeOffline, map[string]bool{nvram: false, tpm: false}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := good()
			in.r.Mode = tt.mode
			in.vm.Domain.NVRAM, in.vm.Domain.TPM = nvram, "emulator"
			for p, there := range tt.there {
				in.dst.Files[p] = there
			}
			if got := in.plan().Travels; len(got) != tt.want {
				t.Errorf("%+v", got)
			}
		})
	}
}
