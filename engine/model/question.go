package model

// QuestionKind says what a question is about.
type QuestionKind string

// Kinds of questions that a login may put to a person.
const (
	QuestionPassphrase QuestionKind = "passphrase" // of a private key file
	QuestionChallenge  QuestionKind = "challenge"  // a server wants to know something
	QuestionHostKey    QuestionKind = "host-key"   // a server is not known yet
)

// Question is what a login needs a person for. It stands until it is answered
// or declined, or until nobody waits for the answer any more.
type Question struct {
	ID    string
	Kind  QuestionKind
	Title string
	// Lines are what to read before answering; a host's words among them are
	// cleaned.
	Lines []string
	// Fields want an answer each, in this order.
	Fields []QuestionField
	// Type is the word that consents, where there are no fields.
	Type string
}

// QuestionField is one answer that is wanted.
type QuestionField struct {
	Prompt string
	Hidden bool // not shown while it is typed
}
