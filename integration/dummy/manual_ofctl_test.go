package dummy

var ofctlManual = []manualExample{}
