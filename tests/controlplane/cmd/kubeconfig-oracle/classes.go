package main

import (
	"errors"
	"os"
	"regexp"
	"strings"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/tools/clientcmd"
)

// failure is why there is no config at all.
//
//	missing          the file that --kubeconfig names is not there
//	broken           files that are there cannot be read or understood
//	empty            nothing says where a server is
//	context-unknown  the context, asked for or current, is not there
//	invalid          the selected entries cannot be used; problems says which fields
type failure struct {
	Class    string    `json:"class"`
	Files    []string  `json:"files,omitempty"`
	Problems []problem `json:"problems,omitempty"`
	Text     string    `json:"text"`
}

// problem is one field of a selected entry, as kubeconfigs spell it, and client-go's own words.
type problem struct {
	Field string `json:"field"`
	Text  string `json:"text"`
}

var brokenFile = regexp.MustCompile(`error loading config file "((?s:.*?))": `)

// fields tells by its words which field an error of client-go's validation is about.
var fields = []struct{ words, field string }{
	{"cluster has no server defined", "cluster.server"},
	{"no server found for cluster", "cluster.server"},
	{"invalid 'proxy-url'", "cluster.proxy-url"},
	{"certificate-authority-data and certificate-authority are both", "cluster.certificate-authority"},
	{"unable to read certificate-authority", "cluster.certificate-authority"},
	{"client-cert-data and client-cert are both", "user.client-certificate"},
	{"unable to read client-cert", "user.client-certificate"},
	{"client-key-data and client-key are both", "user.client-key"},
	{"client-key-data or client-key must be", "user.client-key"},
	{"unable to read client-key", "user.client-key"},
	{"authProvider cannot be provided", "user.auth-provider"},
	{"command must be specified", "user.exec.command"},
	{"apiVersion must be specified", "user.exec.apiVersion"},
	{"env variable name must be", "user.exec.env"},
	{"interactiveMode must be specified", "user.exec.interactiveMode"},
	{"invalid interactiveMode", "user.exec.interactiveMode"},
	{"more than one authentication method", "user.token"},
	{"without impersonating a user", "user.as"},
}

func classify(err error, rules *clientcmd.ClientConfigLoadingRules) *failure {
	result := &failure{Text: err.Error()}
	switch {
	case isMissing(err, rules.ExplicitPath):
		result.Class = "missing"
	case brokenFile.MatchString(err.Error()):
		result.Class = "broken"
		for _, found := range brokenFile.FindAllStringSubmatch(err.Error(), -1) {
			result.Files = append(result.Files, found[1])
		}
	case clientcmd.IsEmptyConfig(err):
		result.Class = "empty"
	case clientcmd.IsContextNotFound(err), isUnknownContext(err):
		result.Class = "context-unknown"
	default:
		result.Class = "invalid"
		result.Problems = problems(err)
	}
	return result
}

func isMissing(err error, path string) bool {
	pathError := (*os.PathError)(nil)
	return os.IsNotExist(err) && errors.As(err, &pathError) && path != "" && pathError.Path == path
}

// isUnknownContext is for a context that was asked for: client-go has no type for that error.
func isUnknownContext(err error) bool {
	text := err.Error()
	return strings.HasPrefix(text, "context ") && strings.HasSuffix(text, " does not exist")
}

func problems(err error) []problem {
	causes := []error{err}
	if many := utilerrors.Aggregate(nil); errors.As(err, &many) {
		causes = many.Errors()
	}
	var found []problem
	for _, cause := range causes {
		found = append(found, problem{fieldOf(cause), cause.Error()})
	}
	return found
}

func fieldOf(err error) string {
	for _, known := range fields {
		if strings.Contains(err.Error(), known.words) {
			return known.field
		}
	}
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return "user.tokenFile" // the only file that is read after the validation
	}
	return "?"
}
