package audit

import "time"

// timeLayout is RFC 3339 in UTC with six decimals: always timeLen bytes.
const (
	timeLayout = "2006-01-02T15:04:05.000000Z"
	timeLen    = len(timeLayout)
)

// appendTime writes t in timeLayout. It does what Time.AppendFormat does, without
// reading the layout each time: twice a record, that shows.
func appendTime(dst []byte, t time.Time) []byte {
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.AppendFormat(dst, timeLayout)
	}
	hour, minute, second := t.Clock()
	dst = append(appendDigits(dst, year, 4), '-')
	dst = append(appendDigits(dst, int(month), 2), '-')
	dst = append(appendDigits(dst, day, 2), 'T')
	dst = append(appendDigits(dst, hour, 2), ':')
	dst = append(appendDigits(dst, minute, 2), ':')
	dst = append(appendDigits(dst, second, 2), '.')
	return append(appendDigits(dst, t.Nanosecond()/1000, 6), 'Z')
}

// appendDigits writes the last n decimal digits of v, with leading zeros.
func appendDigits(dst []byte, v, n int) []byte {
	const zeros = "000000"
	dst = append(dst, zeros[:n]...)
	for i := len(dst) - 1; v > 0 && i >= len(dst)-n; i-- {
		dst[i] = '0' + byte(v%10)
		v /= 10
	}
	return dst
}

// parseTime is the inverse of appendTime and takes nothing else: it reads digits
// where digits belong, and compares what they would be written as.
func parseTime(s string) (time.Time, error) {
	if len(s) == timeLen {
		t := time.Date(digits(s[:4]), time.Month(digits(s[5:7])), digits(s[8:10]),
			digits(s[11:13]), digits(s[14:16]), digits(s[17:19]), 1000*digits(s[20:26]), time.UTC)
		var again [timeLen]byte
		if string(appendTime(again[:0], t)) == s {
			return t, nil
		}
	}
	return time.Time{}, errorf("not a time of the form %s", timeLayout)
}

// digits returns the number that s is in decimal, or any other if s is none.
func digits(s string) (n int) {
	for i := range len(s) {
		n = 10*n + int(s[i]-'0')
	}
	return n
}
