package ui

import (
	"slices"

	tea "charm.land/bubbletea/v2"

	"horcrux/engine/model"
	"horcrux/ui/screen"
	"horcrux/ui/text"
	"horcrux/ui/widget"
)

// questionModal is the id of a question of the engine in the modal.
const questionModal = "question"

// questions takes the list of what logins want to know. A question whose answer
// nobody waits for any more goes from the screen.
func (a *app) questions(list []model.Question) {
	if list != nil {
		a.asked = list
	}
	if a.modal.id == questionModal {
		if slices.ContainsFunc(a.asked, func(q model.Question) bool { return q.ID == a.question.ID }) {
			return
		}
		a.modal, a.question = modal{}, model.Question{}
	}
	a.nextQuestion()
}

// nextQuestion shows the oldest question, unless the person is at something.
func (a *app) nextQuestion() {
	if a.modal.box != nil || len(a.asked) == 0 || a.top().Typing() {
		return
	}
	q := a.asked[0]
	a.question = q
	if len(q.Fields) == 0 {
		a.modal = modal{id: questionModal, box: widget.Confirm{Title: q.Title, Lines: text.CleanAll(q.Lines), Type: text.Or(q.Type, "yes"), Grave: true}}
		return
	}
	box := widget.Question{Title: q.Title, Lines: q.Lines}
	for _, f := range q.Fields {
		box.Fields = append(box.Fields, widget.AnswerField(f))
	}
	a.modal = modal{id: questionModal, box: box}
}

// reply passes on what came of a question.
func (a *app) reply(box widget.Modal, yes bool) tea.Cmd {
	q := a.question
	a.question = model.Question{}
	a.asked = slices.DeleteFunc(slices.Clone(a.asked), func(o model.Question) bool { return o.ID == q.ID })
	var answers []string
	if yes {
		answers = []string{q.Type}
		if b, ok := box.(widget.Question); ok {
			answers = b.Values()
		}
	}
	var cmd tea.Cmd
	if err := a.svc.Answer(q.ID, answers); err != nil {
		cmd = a.say(screen.Caution, err.Error())
	} else if !yes {
		cmd = a.say(screen.Note, "declined; `:reconnect NODE` asks again")
	}
	return cmd
}

func (a *app) reconnect(node string) (tea.Cmd, string) {
	n, ok := a.env.Node(model.NodeName(node))
	if !ok {
		return nil, "there is no node \"" + text.Clean(node) + "\""
	}
	if err := a.svc.Reconnect(n.Name); err != nil {
		return nil, err.Error()
	}
	return a.say(screen.Note, "trying to reach "+string(n.Name)+" now"), ""
}
