module soma

go 1.24
