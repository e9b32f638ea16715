--- The version of esplua: MAJOR.MINOR.PATCH, https://semver.org
return "0.1.0"
