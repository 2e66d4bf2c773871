package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tollbook/audit"
)

// filters say which records are wanted. They are embedded. A filter that is given
// and empty is a mistake: a variable that was not set must not mean "all".
type filters struct {
	User    word `help:"Only this user's, also when impersonating (user_id or actor_id)." placeholder:"ID"`
	Job     word `help:"Only of this job." placeholder:"ID"`
	Event   word `help:"Only of this event type, such as submit or auth_failure." placeholder:"NAME"`
	From    word `help:"Not before: a day (2026-11-23, UTC) or a time (2026-11-23T09:30:00Z)." placeholder:"TIME"`
	To      word `help:"Through a day's end, or before a time." placeholder:"TIME"`
	Outcome word `help:"Only with this outcome: ${outcomes}." placeholder:"NAME"`
	Phase   word `help:"Only of this phase: ${phases}." placeholder:"NAME"`
}

// A word is the value of a flag, byte for byte: kong would replace what is no
// UTF-8.
type word struct {
	text  string
	given bool
}

// Decode implements [kong.MapperValue].
func (w *word) Decode(ctx *kong.DecodeContext) error {
	token, err := ctx.Scan.PopValue("text")
	if err != nil {
		return err
	}
	w.text, w.given = token.String(), true
	return nil
}

// choices fills in what the help names.
func choices() map[string]string {
	return map[string]string{
		"outcomes": listed(audit.Outcomes()), "phases": listed(audit.Phases()),
	}
}

// query returns what the flags say. The error is a usageError that names every
// flag that is no good.
func (f filters) query() (audit.Query, error) {
	var q audit.Query
	var err error
	q.User, err = given("user", f.User, err)
	q.Job, err = given("job", f.Job, err)
	q.Event, err = given("event", f.Event, err)
	q.Outcome, err = oneOf("outcome", f.Outcome, audit.Outcomes(), err)
	q.Phase, err = oneOf("phase", f.Phase, audit.Phases(), err)
	q.From, err = moment("from", f.From, 0, err)
	q.To, err = moment("to", f.To, 24*time.Hour, err)
	if err == nil && f.From.given && f.To.given && !q.From.Before(q.To) {
		err = fmt.Errorf("--from %s is not before --to %s", f.From.text, f.To.text)
	}
	if err != nil {
		return audit.Query{}, usageError{err}
	}
	return q, nil
}

// given returns the value of a flag, "" if it was left out. Like oneOf and moment
// it adds what is wrong to the errors before.
func given(flag string, value word, before error) (string, error) {
	if value.given && value.text == "" {
		return "", errors.Join(before, fmt.Errorf("--%s is empty: leave it out to take any", flag))
	}
	return value.text, before
}

func oneOf[T ~string](flag string, value word, choices []T, before error) (T, error) {
	v, err := given(flag, value, nil)
	if err == nil && v != "" && !slices.Contains(choices, T(v)) {
		err = fmt.Errorf("--%s %q is none of %s", flag, v, listed(choices))
	}
	return T(v), errors.Join(before, err)
}

func listed[T ~string](choices []T) string {
	names := make([]string, len(choices))
	for i, c := range choices {
		names[i] = string(c)
	}
	return strings.Join(names, ", ")
}

// moment reads a day, to whose beginning it adds afterDay, or a time.
func moment(flag string, value word, afterDay time.Duration, before error) (time.Time, error) {
	v, err := given(flag, value, nil)
	if err != nil || v == "" {
		return time.Time{}, errors.Join(before, err)
	}
	if day, err := time.Parse(time.DateOnly, v); err == nil {
		return day.Add(afterDay), before
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil {
		err = fmt.Errorf("--%s %q is no date or time: want 2026-11-23 (the day in UTC) "+
			"or 2026-11-23T09:30:00Z", flag, v)
	}
	return t, errors.Join(before, err)
}
