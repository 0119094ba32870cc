package screen

import (
	"strings"

	"horcrux/engine/model"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// decision is what only a person can settle, nil if nothing is.
func (s *Job) decision() *model.Decision {
	r := s.job.Result
	if r == nil || r.Outcome != model.OutcomePerson || r.Decide == nil || len(r.Decide.Choices) == 0 {
		return nil
	}
	return r.Decide
}

func (s *Job) cannotDecide() string {
	if s.decision() == nil {
		return "nothing waits for a decision"
	}
	return ""
}

// sideWords is what a node says of its copy: its state, whose move has hold of
// it, and when its disks were written last.
func sideWords(f model.SideFacts) string {
	words := []string{name(f.Status.String())}
	if f.Status.Err != "" {
		words[0] += " (" + name(f.Status.Err) + ")"
	}
	if f.Mark != nil {
		words = append(words, "marked by "+name(f.Mark.Whose()))
	}
	for _, d := range f.Disks {
		if d.Err != "" {
			words = append(words, name(d.Path)+": "+name(d.Err))
			continue
		}
		words = append(words, name(d.Path)+", "+text.Bytes(d.Size)+", last written "+stamp(d.Written))
	}
	return strings.Join(words, "; ")
}

// choices is the menu of the nodes that can be kept.
func (s *Job) choices() Intent {
	m := widget.Menu{Title: "keep " + name(s.job.VMName) + " on"}
	for _, c := range s.decision().Choices {
		m.Items = append(m.Items, widget.Item{ID: string(c.Keep), Title: name(c.Keep), Note: "loses " + name(c.Loses), Disabled: name(c.Refused)})
	}
	return Choose{ID: "decide", Menu: m}
}

// askKeep shows both nodes' facts and what the choice loses, and wants the name.
func (s *Job) askKeep(node string) []Intent {
	d := s.decision()
	if d == nil {
		return nil
	}
	for _, c := range d.Choices {
		if string(c.Keep) != node || c.Refused != "" {
			continue
		}
		j := s.job
		q := s.question("keep it on " + name(c.Keep) + "?")
		q.Grave, q.Type, q.Yes, q.No = true, name(j.VMName), "keep", "leave it"
		for _, f := range d.Sides {
			q.Lines = append(q.Lines, name(f.Node)+" says: "+sideWords(f)+".")
		}
		q.Lines = append(q.Lines, "", "Lost: "+name(c.Loses)+".", "The other copy is fenced first: ended, moved aside, and unable to start.")
		keep := c.Keep
		return []Intent{Ask{
			Question: q,
			Then:     Command{Job: s.id, Command: model.Command{Kind: model.CommandKeep, Keep: keep}, Done: name(j.VMName) + ": is kept on " + name(keep)},
			Gone: s.changed("It has been settled meanwhile, or the hosts say something else now.", func(j model.Job) bool {
				return j.Result != nil && j.Result.Outcome == model.OutcomePerson
			}),
		}}
	}
	return nil
}
