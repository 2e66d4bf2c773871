package clerk_test

import (
	"strings"
	"testing"
	"time"

	"tollbook/proxy/clerk"
)

func TestTimesAreJudgedToTheSecondWithLeeway(t *testing.T) {
	t.Parallel()
	for _, leeway := range []time.Duration{0, 10 * time.Second, 5 * time.Minute} {
		v := start(t, func(c *clerk.Config) { c.Leeway = leeway })
		l := int64(leeway / time.Second)
		for _, c := range []struct {
			claim string
			at    int64
			want  string
		}{
			{"exp", noon.Unix() - l + 1, ""},
			{"exp", noon.Unix() - l, clerk.ReasonTokenExpired},
			{"exp", noon.Unix() - l - 1, clerk.ReasonTokenExpired},
			{"nbf", noon.Unix() + l - 1, ""},
			{"nbf", noon.Unix() + l, ""},
			{"nbf", noon.Unix() + l + 1, clerk.ReasonTokenNotYetValid},
			{"iat", noon.Unix() + l - 1, ""},
			{"iat", noon.Unix() + l, ""},
			{"iat", noon.Unix() + l + 1, clerk.ReasonTokenNotYetValid},
		} {
			_, err := v.Verify(t.Context(), withClaims(map[string]any{c.claim: c.at}))
			if got := clerk.Reason(err); got != c.want {
				t.Errorf("leeway %s, %s %+d s from now: got %q, want %q",
					leeway, c.claim, c.at-noon.Unix(), got, c.want)
			}
		}
	}
}

func TestFractionsOfSecondsCount(t *testing.T) {
	t.Parallel()
	half := noon.Add(500 * time.Millisecond)
	v := start(t, func(c *clerk.Config) { c.Now = func() time.Time { return half } })
	for literalTime, want := range map[string]string{
		"1772366400.5":           clerk.ReasonTokenExpired,
		"1772366400.500000001":   "",
		"1772366400.4999999999":  clerk.ReasonTokenExpired,
		"1.7723664005e9":         clerk.ReasonTokenExpired,
		"1.77236640050000001E+9": "",
		"17723664010e-1":         "",
	} {
		_, err := v.Verify(t.Context(), withClaims(map[string]any{"exp": literal(literalTime)}))
		if got := clerk.Reason(err); got != want {
			t.Errorf("exp %s at noon and a half: got %q, want %q", literalTime, got, want)
		}
	}
}

func TestTimesThatAreNoneAreRefused(t *testing.T) {
	t.Parallel()
	v := start(t)
	for _, claim := range []string{"exp", "iat", "nbf"} {
		for name, value := range map[string]any{
			"null": null{}, "string": "1772366460", "empty": "", "bool": true, "array": []int{1},
			"object": map[string]any{}, "1e300": literal("1e300"), "1e18": literal("1e18"),
			"negative": -1, "negative zero": literal("-0"), "year 10000": 253402300800,
			"year 10000 and a half": literal("253402300800.5"), "year 10000 by e": literal("2.534023008e11"),
			"huge exponent": literal("1e999999999999"), "small exponent": literal("1e-999999999"),
			"long": literal("1" + strings.Repeat("0", 4000)),
		} {
			_, err := v.Verify(t.Context(), withClaims(map[string]any{claim: value}))
			if got := clerk.Reason(err); got != clerk.ReasonTokenClaimInvalid {
				t.Errorf("%s %s: got %q, want token_claim_invalid", claim, name, got)
			}
		}
		if claim == "nbf" {
			continue
		}
		_, err := v.Verify(t.Context(), withClaims(map[string]any{claim: nil}))
		wantReason(t, err, clerk.ReasonTokenClaimInvalid)
	}
}

func TestDatesKeepTheirLiteralUnlessPlain(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]clerk.NumericDate{
		"0":              {},
		"1700000000":     {Seconds: 1700000000},
		"253402300799":   {Seconds: 253402300799},
		"1700000000.0":   {Seconds: 1700000000, Literal: "1700000000.0"},
		"1700000000.999": {Seconds: 1700000000, Literal: "1700000000.999"},
		"1.7e9":          {Seconds: 1700000000, Literal: "1.7e9"},
		"17E+8":          {Seconds: 1700000000, Literal: "17E+8"},
		"5e-1":           {Seconds: 0, Literal: "5e-1"},
	} {
		got, ok := clerk.ParseDate(in)
		if !ok || got.Seconds != want.Seconds || got.Literal != want.Literal {
			t.Errorf("%s: got %+v %v, want %+v", in, got, ok, want)
		}
	}
	d, _ := clerk.ParseDate("1700000000.25")
	if want := time.Unix(1700000000, 250_000_000); !d.Time().Equal(want) {
		t.Errorf("got time %s, want %s", d.Time(), want)
	}
}
