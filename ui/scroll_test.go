package ui

import (
	"fmt"
	"strings"
	"testing"

	"horcrux/ui/uitest"
)

// TestTheEndIsNoTrap goes to the end of every page and back by one key: where
// something was scrolled, the way back begins at once.
func TestTheEndIsNoTrap(t *testing.T) {
	scrolled := 0
	for _, s := range scenes() {
		for _, keys := range [][2]string{{"G", "k"}, {"pgdown", "pgup"}} {
			t.Run(fmt.Sprintf("%s-%s", s.name, keys[0]), func(t *testing.T) {
				d := s.open(t).size(80, 24)
				if d.app.modal.box != nil || d.app.top().Typing() {
					return // keys are typed here
				}
				for range 12 {
					d.press(keys[0])
				}
				end := d.screen()
				if d.press(keys[0]).screen() != end {
					t.Fatalf("not at the end after 12 times %s", keys[0])
				}
				if d.press("g").screen() == end {
					return // all of it is seen
				}
				scrolled++
				for range 12 {
					d.press(keys[0])
				}
				if d.press(keys[1]).screen() == end {
					t.Errorf("%s does nothing after %s:\n%s", keys[1], keys[0], end)
				}
			})
		}
	}
	if scrolled < 10 {
		t.Errorf("only %d of the pages had something to scroll", scrolled)
	}
}

// TestEveryLineOfAPlanIsReached scrolls the details of a move to their end in a
// small window: the last step is there, and that there is more was said.
func TestEveryLineOfAPlanIsReached(t *testing.T) {
	d := drive(t, uitest.World(uitest.Epoch), nil).press("/").typed("web01").press("enter", "m").size(80, 24)
	d.sees("more lines, pgdn")
	for range 12 {
		d.press("pgdown")
	}
	d.sees("wait for your word").lacks("more lines")
	if n := strings.Count(d.screen(), "\n"); n != 23 {
		t.Errorf("%d lines", n+1)
	}
}
