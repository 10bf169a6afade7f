package kubestate

import (
	"errors"
	"fmt"
	"time"
	_ "time/tzdata" // our images have no time zones, and schedules do

	"github.com/robfig/cron/v3"
	batchv1 "k8s.io/api/batch/v1"
)

func cronJobs() *kind {
	return newKind(spec[batchv1.CronJob]{
		resource: "cronjobs", path: "apis/batch/v1/cronjobs", goType: "*v1.CronJob",
		identity: []string{"namespace", "cronjob"},
		identify: namespacedName[batchv1.CronJob],
		families: append([]family[batchv1.CronJob]{
			createdFamily[batchv1.CronJob]("cronjob"),
			versionFamily[batchv1.CronJob]("cronjob", "the cronjob"),
			labelsFamily[batchv1.CronJob]("cronjob"),
			annotationsFamily[batchv1.CronJob]("cronjob"),
			{
				name: "kube_cronjob_info", help: "Info about cronjob.",
				labels: []string{"schedule", "concurrency_policy", "timezone"},
				write: func(w *writer, j *batchv1.CronJob) {
					zone := "local"
					if j.Spec.TimeZone != nil {
						zone = *j.Spec.TimeZone
					}
					w.put(1, j.Spec.Schedule, string(j.Spec.ConcurrencyPolicy), zone)
				},
			},
		}, append(cronJobSpec(), cronJobStatus()...)...),
	})
}

func cronJobSpec() []family[batchv1.CronJob] {
	return []family[batchv1.CronJob]{{
		name: "kube_cronjob_spec_suspend",
		help: "Suspend flag tells the controller to suspend subsequent executions.",
		write: func(w *writer, j *batchv1.CronJob) {
			if s := j.Spec.Suspend; s != nil {
				w.flag(*s)
			}
		},
	}, {
		name: "kube_cronjob_spec_starting_deadline_seconds",
		help: "Deadline in seconds for starting the job if it misses scheduled time for any reason.",
		write: func(w *writer, j *batchv1.CronJob) {
			if s := j.Spec.StartingDeadlineSeconds; s != nil {
				w.put(float64(*s))
			}
		},
	}, {
		name:  "kube_cronjob_spec_successful_job_history_limit",
		help:  "Successful job history limit tells the controller how many completed jobs should be preserved.",
		write: func(w *writer, j *batchv1.CronJob) { w.int32Ptr(j.Spec.SuccessfulJobsHistoryLimit) },
	}, {
		name:  "kube_cronjob_spec_failed_job_history_limit",
		help:  "Failed job history limit tells the controller how many failed jobs should be preserved.",
		write: func(w *writer, j *batchv1.CronJob) { w.int32Ptr(j.Spec.FailedJobsHistoryLimit) },
	}}
}

func cronJobStatus() []family[batchv1.CronJob] {
	return []family[batchv1.CronJob]{
		numberFamily("kube_cronjob_status_active", "Active holds pointers to currently running jobs.",
			func(j *batchv1.CronJob) float64 { return float64(len(j.Status.Active)) }),
		{
			name:  "kube_cronjob_status_last_schedule_time",
			help:  "LastScheduleTime keeps information of when was the last time the job was successfully scheduled.",
			write: func(w *writer, j *batchv1.CronJob) { w.timePtr(j.Status.LastScheduleTime) },
		}, {
			name:  "kube_cronjob_status_last_successful_time",
			help:  "LastSuccessfulTime keeps information of when was the last time the job was completed successfully.",
			write: func(w *writer, j *batchv1.CronJob) { w.timePtr(j.Status.LastSuccessfulTime) },
		}, {
			name: "kube_cronjob_next_schedule_time",
			help: "Next time the cronjob should be scheduled. The time after lastScheduleTime, or after the cron job's creation time if it's never been scheduled. Use this to determine if the job is delayed.",
			write: func(w *writer, j *batchv1.CronJob) {
				if j.Spec.Suspend != nil && *j.Spec.Suspend {
					return
				}
				after := j.CreationTimestamp.Time
				if last := j.Status.LastScheduleTime; last != nil && !last.IsZero() {
					after = last.Time
				}
				// A schedule that the controller cannot read has no next time; it
				// tells of that by an event.
				if next, err := nextRun(j.Spec.Schedule, j.Spec.TimeZone, after); err == nil {
					w.put(float64(next.Unix()))
				}
			},
		},
	}
}

// errNever is for schedules without a day, such as "0 0 30 2 *".
var errNever = errors.New("no such time in five years")

// nextRun is when the controller runs a schedule next. Without a zone it is read in
// ours, as the controller reads it in its own.
func nextRun(schedule string, zone *string, after time.Time) (next time.Time, err error) {
	// cron panics on "TZ=x" with nothing behind it, and a schedule that is in the
	// API server from before it refused those must not end the program.
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse schedule %q: %v", schedule, r)
		}
	}()
	if zone != nil {
		schedule = "CRON_TZ=" + *zone + " " + schedule
	}
	times, err := cron.ParseStandard(schedule)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse schedule %q: %w", schedule, err)
	}
	if next = times.Next(after); next.IsZero() {
		return next, errNever
	}
	return next, nil
}
