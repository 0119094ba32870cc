package model

import "testing"

func TestDiesOfResume(t *testing.T) {
	for v, want := range map[string]bool{"": false, "x": false, "9.0.0": false, "11.2.0": false, "11.3.0": true, "11.10.0": true, "12.7.9": true, "12.8.0": false, "13.0.0": false} {
		if DiesOfResume(v) != want {
			t.Errorf("libvirt %s: %v", v, !want)
		}
	}
}
