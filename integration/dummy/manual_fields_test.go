package dummy

var fieldsManual = []manualExample{}
