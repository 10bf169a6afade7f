package kubestate

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
)

func jobs() *kind {
	return newKind(spec[batchv1.Job]{
		resource: "jobs", path: "apis/batch/v1/jobs", goType: "*v1.Job",
		identity: []string{"namespace", "job_name"},
		identify: namespacedName[batchv1.Job],
		families: append([]family[batchv1.Job]{
			createdFamily[batchv1.Job]("job"),
			existsFamily[batchv1.Job]("job", "Information about job."),
			ownerFamily[batchv1.Job]("job", "Job"),
			labelsFamily[batchv1.Job]("job"),
			annotationsFamily[batchv1.Job]("job"),
			{
				name:  "kube_job_spec_parallelism",
				help:  "The maximum desired number of pods the job should run at any given time.",
				write: func(w *writer, j *batchv1.Job) { w.int32Ptr(j.Spec.Parallelism) },
			}, {
				name:  "kube_job_spec_completions",
				help:  "The desired number of successfully finished pods the job should be run with.",
				write: func(w *writer, j *batchv1.Job) { w.int32Ptr(j.Spec.Completions) },
			}, {
				name: "kube_job_spec_active_deadline_seconds",
				help: "The duration in seconds relative to the startTime that the job may be active before the system tries to terminate it.",
				write: func(w *writer, j *batchv1.Job) {
					if s := j.Spec.ActiveDeadlineSeconds; s != nil {
						w.put(float64(*s))
					}
				},
			},
		}, jobStatus()...),
	})
}

func jobStatus() []family[batchv1.Job] {
	return []family[batchv1.Job]{
		numberFamily("kube_job_status_succeeded", "The number of pods which reached Phase Succeeded.",
			func(j *batchv1.Job) float64 { return float64(j.Status.Succeeded) }),
		{
			name: "kube_job_status_failed", help: "The number of pods which reached Phase Failed and the reason for failure.",
			labels: []string{"reason"}, write: writeJobFailures,
		},
		numberFamily("kube_job_status_active", "The number of actively running pods.",
			func(j *batchv1.Job) float64 { return float64(j.Status.Active) }),
		{
			name: "kube_job_status_ready", help: "The number of ready pods that belong to this Job.",
			write: func(w *writer, j *batchv1.Job) {
				ready := int32(0)
				if j.Status.Ready != nil {
					ready = *j.Status.Ready
				}
				w.put(float64(ready))
			},
		}, {
			name: "kube_job_complete", help: "The job has completed its execution.", labels: []string{"condition"},
			write: func(w *writer, j *batchv1.Job) { writeJobCondition(w, j, batchv1.JobComplete) },
		}, {
			name: "kube_job_failed", help: "The job has failed its execution.", labels: []string{"condition"},
			write: func(w *writer, j *batchv1.Job) { writeJobCondition(w, j, batchv1.JobFailed) },
		}, {
			name:  "kube_job_status_start_time",
			help:  "StartTime represents time when the job was acknowledged by the Job Manager.",
			write: func(w *writer, j *batchv1.Job) { w.timePtr(j.Status.StartTime) },
		}, {
			name:  "kube_job_status_completion_time",
			help:  "CompletionTime represents time when the job was completed.",
			write: func(w *writer, j *batchv1.Job) { w.timePtr(j.Status.CompletionTime) },
		}, {
			name: "kube_job_status_suspended", help: "The number of pods which reached Phase Suspended.",
			write: func(w *writer, j *batchv1.Job) {
				for _, c := range j.Status.Conditions {
					if c.Type == batchv1.JobSuspended {
						w.flag(c.Status == corev1.ConditionTrue)
					}
				}
			},
		},
	}
}

func writeJobCondition(w *writer, j *batchv1.Job, of batchv1.JobConditionType) {
	for _, c := range j.Status.Conditions {
		if c.Type == of {
			w.condition(c.Status)
		}
	}
}

// jobFailureReasons are those that kube_job_status_failed tells apart.
var jobFailureReasons = []string{"BackoffLimitExceeded", "DeadlineExceeded", "Evicted"}

// writeJobFailures writes which reason ended the job, 1 or 0 for each; for a job
// that goes on, or that ended for another reason, the number of its failed pods.
func writeJobFailures(w *writer, j *batchv1.Job) {
	known := false
	if j.Status.Failed > 0 {
		for _, c := range j.Status.Conditions {
			if c.Type != batchv1.JobFailed {
				continue
			}
			known = known || slices.Contains(jobFailureReasons, c.Reason)
			w.states(c.Reason, jobFailureReasons...)
		}
	}
	if !known {
		w.put(float64(j.Status.Failed))
	}
}
