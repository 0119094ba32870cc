package widget

import (
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"

	"horcrux/ui/theme"
)

// TestRailWithTenStops draws the longest rail there is in the smallest usual
// window: no title is cut, since two have short forms.
func TestRailWithTenStops(t *testing.T) {
	var stops []Stop
	for _, title := range []string{"pre-flight", "disk passes", "prepare", "disks", "memory", "gate", "switch", "one image", "verify", "confirm"} {
		stops = append(stops, Stop{Title: title, Short: map[string]string{"disk passes": "passes", "one image": "image"}[title]})
	}
	for w, cut := range map[int]bool{78: false, 60: true, 120: false} {
		titles := strings.Split(ansi.Strip(Rail(theme.New(theme.Mono), w, stops)), "\n")[1]
		if strings.Contains(titles, "…") != cut || strings.Contains(titles, "disk passes") != (w == 120) {
			t.Errorf("in %d cells: %q", w, titles)
		}
	}
}
