package ui

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"horcrux/engine"
	"horcrux/engine/model"
	"horcrux/ui/uitest"
)

func asks(d *driver, qs ...model.Question) *driver {
	return d.send(updateMsg{engine.Update{Questions: append([]model.Question{}, qs...)}})
}

var (
	lockedKey = model.Question{
		ID: "q1", Kind: model.QuestionPassphrase, Title: "Passphrase", Lines: []string{"The key /k is locked."},
		Fields: []model.QuestionField{{Prompt: "passphrase", Hidden: true}},
	}
	newHost = model.Question{
		ID: "q2", Kind: model.QuestionHostKey, Title: "Unknown host", Lines: []string{"ssh-ed25519 SHA256:abc"}, Type: "yes",
	}
)

func TestQuestionsOfLogins(t *testing.T) {
	d := world(t)
	asks(d, lockedKey, newHost).sees("The key /k is locked")
	d.typed("s3 cret").lacks("s3", "cret").press("enter")
	d.sees("SHA256:abc").typed("ye").press("enter").sees("SHA256:abc")
	d.typed("s").press("enter").lacks("SHA256:abc")
	want := []uitest.Answered{{ID: "q1", Answers: []string{"s3 cret"}}, {ID: "q2", Answers: []string{"yes"}}}
	if diff := cmp.Diff(want, d.fake.Answers()); diff != "" {
		t.Error(diff)
	}
}

func TestDecliningAQuestion(t *testing.T) {
	d := world(t)
	asks(d, newHost).press("esc").sees(":reconnect")
	if diff := cmp.Diff([]uitest.Answered{{ID: "q2"}}, d.fake.Answers()); diff != "" {
		t.Error(diff)
	}
	// One that nobody waits for any more goes away by itself, and so does one
	// that comes while something is typed wait.
	asks(d, lockedKey).sees("/k is locked")
	asks(d).lacks("/k is locked")
	d.press("/").typed("web")
	asks(d, lockedKey).lacks("/k is locked")
	d.press("enter")
	asks(d, lockedKey).sees("/k is locked").press("enter").sees("/k is locked")
	fits(t, d.size(60, 15), 60, 15)
}
