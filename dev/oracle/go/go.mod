// The CronJob controller's own cron module, at the version that Kubernetes pins.
module vendorsync.example.com/dev/oracle

go 1.24.0

require github.com/robfig/cron/v3 v3.0.1
