package apierror

import (
	"html"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

var (
	markup  = regexp.MustCompile(`(?i)^\s*(<!doctype|<\?xml|<html|<head|<body|<h1|<p>|<div|<center)`)
	hidden  = regexp.MustCompile(`(?is)<(script|style|svg|noscript)\b.*?</(script|style|svg|noscript)\s*>|<!--.*?-->`)
	tag     = regexp.MustCompile(`(?s)<[^>]*>`)
	heading = regexp.MustCompile(`(?is)<title[^>]*>(.*?)</title>`)
)

// plainText returns a message on one line, without the markup of a page.
func plainText(s string) string {
	if !markup.MatchString(s) {
		return strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd"))
	}
	title := ""
	if found := heading.FindStringSubmatch(s); found != nil {
		title = stripTags(found[1])
	}
	body := stripTags(heading.ReplaceAllString(hidden.ReplaceAllString(s, " "), " "))
	return joinTexts(title, strings.TrimSpace(strings.TrimPrefix(body, title)))
}

// stripTags returns the text of markup, with single spaces.
func stripTags(s string) string {
	s = html.UnescapeString(tag.ReplaceAllString(s, " "))
	return strings.Join(strings.Fields(strings.ToValidUTF8(s, "\ufffd")), " ")
}

// excerpt returns the start of a text on one line; "" if the bytes are no text.
func excerpt(s string, most int) string {
	odd := 0
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == utf8.RuneError || unicode.IsControl(r):
			odd++
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	if odd > 8 && odd > utf8.RuneCountInString(s)/8 {
		return ""
	}
	s = strings.Join(strings.Fields(s), " ")
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// clip bounds a message.
func clip(s string) string {
	if len(s) > maxMessage {
		return strings.ToValidUTF8(s[:maxMessage], "")
	}
	return s
}
