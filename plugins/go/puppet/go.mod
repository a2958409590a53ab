module puppet

go 1.24

require soma v0.0.0

replace soma => ./sdk
