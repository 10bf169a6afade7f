package kubemeta

import (
	"strconv"
	"strings"
	"time"
)

// workload derives what users think a pod belongs to from its controller, so
// that no ReplicaSet and no Job has to be watched.
func workload(owner Owner, podTemplateHash string, created time.Time) Owner {
	switch owner.Kind {
	case "ReplicaSet":
		if name, ok := deploymentName(owner.Name, podTemplateHash); ok {
			return Owner{Kind: "Deployment", Name: name}
		}
	case "Job":
		if name, ok := cronJobName(owner.Name, created); ok {
			return Owner{Kind: "CronJob", Name: name}
		}
	}
	return owner
}

// deploymentName cuts the pod template's hash off a ReplicaSet's name. A
// ReplicaSet that no Deployment made has no such hash in its pods' labels.
func deploymentName(replicaSet, podTemplateHash string) (string, bool) {
	if podTemplateHash == "" {
		return "", false
	}
	name, ok := strings.CutSuffix(replicaSet, "-"+podTemplateHash)
	return name, ok && name != ""
}

// scheduleSlack is how far a job's schedule and its pod's creation may lie
// apart: a Job retries its pods for days, and clocks differ.
const scheduleSlack = 32 * 24 * time.Hour

// cronJobName cuts the time off a Job's name: the CronJob controller appends
// its schedule in minutes since 1970. A number that is no such time near the
// pod's creation, as in "import-20260101", is part of the name somebody gave.
func cronJobName(job string, created time.Time) (string, bool) {
	dash := strings.LastIndexByte(job, '-')
	if dash <= 0 {
		return "", false
	}
	digits := job[dash+1:]
	if len(digits) < 8 || len(digits) > 10 || strings.Trim(digits, "0123456789") != "" {
		return "", false
	}
	minutes, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return "", false
	}
	scheduled := time.Unix(minutes*60, 0)
	if !created.IsZero() && created.Sub(scheduled).Abs() > scheduleSlack {
		return "", false
	}
	return job[:dash], true
}
