package clerk

import (
	"strconv"
	"strings"
)

const (
	// maxSeconds is the last second of the year 9999.
	maxSeconds = 253402300799
	// maxNumber bounds the literal of a date; float64 needs 24 at most.
	maxNumber = 40
	// maxExponent bounds the zeros an exponent may stand for.
	maxExponent = 20
)

// parseDate reads the literal of a JSON number exactly, without going through
// float64, and reports whether it lies between 1970 and 9999.
func parseDate(literal string) (NumericDate, bool) {
	if len(literal) > maxNumber || literal[0] == '-' {
		return NumericDate{}, false
	}
	if !strings.ContainsAny(literal, ".eE") {
		seconds, err := strconv.ParseInt(literal, 10, 64)
		return NumericDate{Seconds: seconds}, err == nil && seconds <= maxSeconds
	}
	whole, fraction, ok := splitDecimal(literal)
	if !ok || len(whole) > len("253402300799") {
		return NumericDate{}, false
	}
	seconds, err := strconv.ParseInt("0"+whole, 10, 64)
	if err != nil || seconds > maxSeconds {
		return NumericDate{}, false
	}
	nanos, err := strconv.ParseInt((fraction + "000000000")[:9], 10, 64)
	if err != nil {
		return NumericDate{}, false
	}
	return NumericDate{Seconds: seconds, Literal: strings.Clone(literal), nanos: nanos}, true
}

// splitDecimal returns the digits before and after the decimal point of a
// non-negative JSON number once its exponent is carried out; whole has no leading
// zeros.
func splitDecimal(literal string) (whole, fraction string, ok bool) {
	number, power, _ := strings.Cut(strings.ToLower(literal), "e")
	exponent := 0
	if power != "" {
		var err error
		exponent, err = strconv.Atoi(power)
		if err != nil || exponent < -maxExponent || exponent > maxExponent {
			return "", "", false
		}
	}
	whole, fraction, _ = strings.Cut(number, ".")
	zeros := strings.Repeat("0", maxExponent)
	digits := zeros + whole + fraction + zeros
	point := len(zeros) + len(whole) + exponent
	return strings.TrimLeft(digits[:point], "0"), digits[point:], true
}
