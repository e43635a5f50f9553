"""The operator: VendorSync resources in, CronJobs and status out."""
